from django.apps import AppConfig


class ProcessorsConfig(AppConfig):
    name = "apps.processors"

    def ready(self) -> None:
        from apps.processors import checks  # noqa: F401 (registers them)
