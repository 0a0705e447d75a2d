"""System checks: what is set for jobs can be done here."""

from importlib.util import find_spec

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from apps.core.checks import SETTINGS
from apps.jobs import antivirus
from apps.jobs.places import place
from apps.processors import registry
from apps.processors.protocol import MAX_LANGUAGES


@register(SETTINGS)
def languages_are_installed(**_: object) -> list[CheckMessage]:
    """jobs.E001: OCR_LANGUAGES names none, too many, or one without a model on this machine."""
    chosen, installed = settings.OCR_LANGUAGES, registry.languages()
    told = [f"there is no model for {each}" for each in chosen if each not in installed]
    if not 1 <= len(chosen) <= MAX_LANGUAGES:
        told.append(f"it takes 1 to {MAX_LANGUAGES} languages")
    hint = f"Installed: {', '.join(installed)}."
    return [Error(f"OCR_LANGUAGES: {each}.", hint=hint, id="jobs.E001") for each in told]


@register(SETTINGS)
def storage_is_named(**_: object) -> list[CheckMessage]:
    """jobs.E002: STORAGE_URL names no place, or what it needs is not installed."""
    try:
        place()
    except ValueError as error:
        return [Error(f"STORAGE_URL: {error}", id="jobs.E002")]
    if settings.STORAGE_URL and find_spec("boto3") is None:
        hint = "Install docmill[s3]."
        return [Error("STORAGE_URL: a bucket needs boto3.", hint=hint, id="jobs.E002")]
    return []


@register(SETTINGS)
def scanner_is_named(**_: object) -> list[CheckMessage]:
    """jobs.E003: CLAMAV_URL names no address of a clamd."""
    if settings.CLAMAV_URL:
        try:
            antivirus.parse_address(settings.CLAMAV_URL)
        except ValueError as error:
            return [Error(f"CLAMAV_URL: {error}.", id="jobs.E003")]
    return []
