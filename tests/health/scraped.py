"""What a scrape says, as numbers."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[str, dict[frozenset[tuple[str, str]], float]]


def parsed(text: str) -> Samples:
    """Sample name -> labels -> number. Raises ValueError for what is no exposition, or names the
    same sample twice."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            numbers = found.setdefault(sample.name, {})
            labels = frozenset(sample.labels.items())
            if labels in numbers:
                raise ValueError(f"twice: {sample.name} {sample.labels}")
            numbers[labels] = sample.value
    return found


def total(samples: Samples, name: str, labels: Mapping[str, str] | None = None) -> float:
    """The sum of all samples of that name that have those labels."""
    wanted = (labels or {}).items()
    return sum(number for given, number in samples.get(name, {}).items() if wanted <= given)
