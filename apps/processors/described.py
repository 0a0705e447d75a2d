"""What is known of a text besides the text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from apps.processors.protocol import Table


@dataclass(frozen=True)
class Described:
    """The fields mean what they mean in `protocol.Extraction` and `protocol.Page`."""

    metadata: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    warnings: tuple[str, ...] = ()
