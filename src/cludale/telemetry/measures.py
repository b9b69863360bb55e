"""Measures: counters and histograms of what happens inside, beside those that the server and the platform keep anyway.

Kept here once; `/metrics` shows them and the exporters send them.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Counter:
    """Counts, by labels."""

    def __init__(self, name: str, meaning: str, *labels: str) -> None:
        self.name = name
        self.labels = labels
        self._meaning = meaning
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, *values: str, by: int = 1) -> None:
        """Count `by` more, for these values of the labels."""
        self._counts[values] = self._counts.get(values, 0) + by

    def family(self) -> Metric:
        """As a metric."""
        family = CounterMetricFamily(self.name, self._meaning, labels=self.labels)
        for values, count in self._counts.items():
            family.add_metric(values, count)
        return family


class Histogram:
    """Counts values by how large they are, by labels."""

    def __init__(self, name: str, meaning: str, bounds: Sequence[float], *labels: str) -> None:
        self.name = name
        self.labels = labels
        self._meaning = meaning
        self._bounds = bounds
        self._buckets: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def add(self, value: float, *labels: str) -> None:
        """Count a value."""
        buckets = self._buckets.get(labels)
        if buckets is None:
            buckets = self._buckets[labels] = [0] * (len(self._bounds) + 1)
            self._sums[labels] = 0.0
        buckets[bisect_left(self._bounds, value)] += 1
        self._sums[labels] += value

    def family(self) -> Metric:
        """As a metric."""
        family = HistogramMetricFamily(self.name, self._meaning, labels=self.labels)
        for values, buckets in self._buckets.items():
            running = 0
            cumulative = []
            for bound, count in zip((*map(str, self._bounds), "+Inf"), buckets, strict=True):
                running += count
                cumulative.append((bound, running))
            family.add_metric(values, cumulative, self._sums[values])
        return family


class Measures:
    """All of them."""

    def __init__(self) -> None:
        self.events = Counter(
            "cludale_events_committed", "Events committed, by type and, where one is given, reason.",
            "service", "type", "reason",
        )  # fmt: skip
        self.conflicts = Counter(
            "cludale_commit_refusals", "Commits refused: by a newer version, or as handled before.", "service", "why"
        )
        self.commit_seconds = Histogram(
            "cludale_commit_seconds", "From asking for a commit until it is durable.", SECONDS, "service"
        )
        self.commit_size = Histogram("cludale_commit_size", "Commits asked for together.", SIZES, "service")
        self.holds = Histogram(
            "cludale_hold_seconds", "What asking for seats took, as orders sees it.", SECONDS, "outcome"
        )
        self.turn_size = Histogram("cludale_turn_size", "Commands folded into one turn of a section.", SIZES)
        self.turn_seconds = Histogram("cludale_turn_seconds", "What a section's turn took.", SECONDS)
        self.handler_seconds = Histogram(
            "cludale_handler_seconds", "What handling a batch of events took.", SECONDS, "service"
        )
        self.handled = Counter("cludale_events_handled", "Deliveries answered.", "service", "answer")
        self.lag = Histogram(
            "cludale_delivery_lag_seconds", "The age of the oldest event of a topic in a batch when it was handled.",
            SECONDS, "service", "topic",
        )  # fmt: skip
        self.publish_seconds = Histogram(
            "cludale_publish_seconds", "What it took until the bus had taken a batch of events.", SECONDS
        )
        self.provider = Histogram(
            "cludale_provider_seconds", "Requests to the payment provider.", SECONDS, "operation", "outcome"
        )
        self.messages = Histogram("cludale_message_seconds", "Messages handed over.", SECONDS, "channel", "outcome")

    def families(self) -> Iterator[Metric]:
        """All of them, as metrics."""
        for each in vars(self).values():
            yield each.family()
