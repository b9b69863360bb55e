"""Reads the Prometheus text format, as far as releases need it. Pure."""

from collections.abc import Iterator, Mapping

from prometheus_client.parser import text_string_to_metric_families

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]
"""(name, labels) → value."""


def samples(text: str) -> Samples:
    """All samples of a text in Prometheus' format. Raises ValueError."""
    return {
        (each.name, frozenset(each.labels.items())): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def picked(found: Samples, name: str, **labels: str) -> Iterator[tuple[Mapping[str, str], float]]:
    """The samples of this name that have these labels."""
    wanted = labels.items()
    for (each, has), value in found.items():
        if each == name and wanted <= set(has):
            yield dict(has), value


def total(found: Samples, name: str, **labels: str) -> float:
    """Their sum."""
    return sum(value for _, value in picked(found, name, **labels))


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """The bound within which this share of a histogram's values lie; None without values. `inf` stays `inf`."""
    whole = buckets.get(float("inf"), 0.0)
    if whole <= 0:
        return None
    return next((bound for bound in sorted(buckets) if buckets[bound] >= share * whole), None)
