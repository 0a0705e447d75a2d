"""System checks: what is set for jobs can be done here."""

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from apps.processors import registry
from apps.processors.protocol import MAX_LANGUAGES


@register("jobs")
def languages_are_installed(**_: object) -> list[CheckMessage]:
    """jobs.E001: OCR_LANGUAGES names none, too many, or one without a model on this machine."""
    chosen, installed = settings.OCR_LANGUAGES, registry.languages()
    told = [f"there is no model for {each}" for each in chosen if each not in installed]
    if not 1 <= len(chosen) <= MAX_LANGUAGES:
        told.append(f"it takes 1 to {MAX_LANGUAGES} languages")
    hint = f"Installed: {', '.join(installed)}."
    return [Error(f"OCR_LANGUAGES: {each}.", hint=hint, id="jobs.E001") for each in told]
