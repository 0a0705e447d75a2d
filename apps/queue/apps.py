from django.apps import AppConfig


class QueueConfig(AppConfig):
    name = "apps.queue"

    def ready(self) -> None:
        from apps.queue import checks, drain  # noqa: F401  registers the system checks; maps the drain flag before any fork
