"""System checks: the keys of the audit log can be read."""

from django.core.checks import CheckMessage, Error, register

from apps.audit.checkpoints import trusted_keys
from apps.audit.signing import BadKey
from apps.core.checks import SETTINGS


@register(SETTINGS)
def keys_can_be_read(**_: object) -> list[CheckMessage]:
    """audit.E001: AUDIT_SIGNING_KEY or one of AUDIT_PUBLIC_KEYS is no Ed25519 key."""
    try:
        trusted_keys()
    except BadKey as error:
        hint = "32 bytes in base64, or PEM; `manage.py audit public-key` shows the public one."
        told = f"AUDIT_SIGNING_KEY or AUDIT_PUBLIC_KEYS: {error}"
        return [Error(told, hint=hint, id="audit.E001")]
    return []
