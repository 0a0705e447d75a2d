from django.apps import AppConfig


class RateLimitsConfig(AppConfig):
    name = "apps.ratelimits"
    verbose_name = "Rate limits"

    def ready(self) -> None:
        from apps.ratelimits import checks  # noqa: F401  registers them
