"""Measures: counters and histograms of what happens inside, beside those that the server and the platform keep anyway.

Kept here once; `/metrics` shows them and the exporters send them.
"""

from collections.abc import Iterator

from prometheus_client import Counter, Histogram
from prometheus_client.metrics_core import Metric

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Measures:
    """All of them."""

    def __init__(self) -> None:
        self.events = _counter(
            "cludale_events_committed", "Events committed, by type and, where one is given, reason.",
            "service", "type", "reason",
        )  # fmt: skip
        self.conflicts = _counter("cludale_commit_refusals", "Commits refused by a newer version.", "service")
        self.commit_seconds = _seconds(
            "cludale_commit_seconds", "From asking for a commit until it is durable.", "service"
        )
        self.commit_size = _sizes("cludale_commit_size", "Commits asked for together.", "service")
        self.holds = _seconds("cludale_hold_seconds", "What asking for seats took, as orders sees it.", "outcome")
        self.command_batch_size = _sizes("cludale_command_batch_size", "Commands of a section decided together.")
        self.command_batch_seconds = _seconds("cludale_command_batch_seconds", "What such a batch took.")
        self.handler_seconds = _seconds("cludale_handler_seconds", "What handling a batch of events took.", "service")
        self.lag = _seconds(
            "cludale_delivery_lag_seconds", "The age of the oldest event of a topic in a batch when it was handled.",
            "service", "topic",
        )  # fmt: skip
        self.publish_seconds = _seconds(
            "cludale_publish_seconds", "What it took until the bus had taken a batch of events."
        )
        self.provider = _seconds(
            "cludale_provider_seconds", "Requests to the payment provider.", "operation", "outcome"
        )
        self.messages = _seconds("cludale_message_seconds", "Messages handed over.", "channel", "outcome")

    def families(self) -> Iterator[Metric]:
        """All of them, as metrics."""
        for each in vars(self).values():
            yield from each.collect()


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    return Counter(name, meaning, labels, registry=None)


def _seconds(name: str, meaning: str, *labels: str) -> Histogram:
    return Histogram(name, meaning, labels, registry=None, buckets=SECONDS)


def _sizes(name: str, meaning: str, *labels: str) -> Histogram:
    return Histogram(name, meaning, labels, registry=None, buckets=SIZES)
