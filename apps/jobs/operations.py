"""What can be asked for, and in which lane it runs."""

from collections.abc import Iterable, Mapping

from apps.core.errors import FieldError, InvalidInput
from apps.jobs.errors import OperationUnavailable
from apps.processors import registry
from apps.processors.protocol import OptionError, Options

LANES = {"ocr": "ocr"}
"""Operations that have a lane of their own; the others share `default`."""

PLANNED = frozenset({"deep-analysis", "cost-analysis", "ingest", "transcribe"})
"""Known words of the interface that no processor offers here."""


def lane_of(operation: str) -> str:
    return LANES.get(operation, "default")


def check_operation(operation: str) -> str:
    """`operation` if it can be done here.

    Raises OperationUnavailable for one that this installation does not offer, InvalidInput for a
    word that means nothing.
    """
    offered = registry.operations()
    if operation in offered:
        return operation
    if operation in PLANNED:
        raise OperationUnavailable(f"{operation} is not offered here: {_listed(offered)} are.")
    detail = f"operation must be one of {_listed(offered)}."
    raise InvalidInput(detail, errors=[FieldError("operation", "unknown", detail)])


def parse_options(raw: object) -> Options:
    """The options in decoded JSON. Raises InvalidInput that names the bad one."""
    if not isinstance(raw, Mapping):
        detail = 'options must be a JSON object such as {"languages": ["eng"]}.'
        raise InvalidInput(detail, errors=[FieldError("options", "invalid", detail)])
    try:
        options = Options.parse(raw)
        for language in options.languages:
            if language not in registry.languages():
                detail = f"There is no OCR model for {language}: {_listed(registry.languages())}."
                raise OptionError("languages", detail)
    except OptionError as error:
        field = f"options.{error.field}"
        raise InvalidInput(
            error.detail, errors=[FieldError(field, "invalid", error.detail)]
        ) from error
    return options


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
