from django.apps import AppConfig


class BackupsConfig(AppConfig):
    name = "apps.backups"

    def ready(self) -> None:
        from apps.backups import checks  # noqa: F401  registers them
