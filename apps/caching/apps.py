from django.apps import AppConfig


class CachingConfig(AppConfig):
    name = "apps.caching"
    verbose_name = "Cache"

    def ready(self) -> None:
        from apps.caching import checks  # noqa: F401  registers them
