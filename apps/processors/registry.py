"""The processors in use, from settings.PROCESSORS. The first that takes operation and kind wins."""

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.module_loading import import_string

from apps.processors import tessdata
from apps.processors.errors import BadDocument
from apps.processors.protocol import Processor


@lru_cache(maxsize=1)
def processors() -> dict[str, type[Processor]]:
    """Classes by dotted path, in order. Raises ImportError; a system check says it kinder."""
    return {path: import_string(path) for path in settings.PROCESSORS}


def processor_path_for(operation: str, kind: str) -> str:
    """The dotted path for the host. Raises BadDocument "document.unsupported"."""
    for path, processor in processors().items():
        if operation in processor.operations and kind in processor.accepts:
            return path
    raise BadDocument(
        "document.unsupported", f"The operation {operation} is not offered for {kind.upper()}."
    )


def operations() -> frozenset[str]:
    """Every operation that some processor offers."""
    return frozenset().union(*(processor.operations for processor in processors().values()))


@lru_cache(maxsize=1)
def languages() -> list[str]:
    """Codes of the OCR languages installed on this machine, sorted."""
    return tessdata.languages()


@receiver(setting_changed)
def forget(*, setting: str, **_: Any) -> None:
    """Tests change settings."""
    if setting == "PROCESSORS":
        processors.cache_clear()
