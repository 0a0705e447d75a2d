from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "apps.accounts"
    label = "accounts"

    def ready(self) -> None:
        # Describes the authentication to drf-spectacular: registered by being imported.
        from apps.accounts import schema  # noqa: F401  (imported for its effect)
