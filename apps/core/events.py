"""What an app tells those above it, which it does not import: `settings.LISTENERS` names them."""

from django.conf import settings
from django.utils.module_loading import import_string


def tell(event: str, **facts: object) -> None:
    """Calls every listener of `event` with `facts`, in the caller's transaction: what one of them
    raises undoes what it was told of."""
    for path in settings.LISTENERS.get(event, ()):
        import_string(path)(**facts)
