"""Outcomes: what became of events at their first try by a handler, counted by service and type. A release judges by it.

The first try alone, so that an event counts once however often it comes again. One that waits for the store is not
tried yet.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from operator import attrgetter

from cludale.ports.bus import Acknowledgement, Delivery


class Outcome(StrEnum):
    """What became of an event."""

    HANDLED = "handled"
    RETRIED = "retried"
    """Its handler says that it came too early."""
    FAILED = "failed"
    """Its handler broke; it comes again."""
    REFUSED = "refused"
    """Its handler says that it can never be handled."""
    BURIED = "buried"
    """Given up after its tries, whatever came of the first one: a dead letter."""


_TYPE, _ATTEMPT = attrgetter("event.type"), attrgetter("attempt")
# A class of enum finds its members ten times as slowly as a module its names.
_SUCCESS, _HANDLED = Acknowledgement.SUCCESS, Outcome.HANDLED
_ANSWERED = {
    Acknowledgement.RETRY: Outcome.RETRIED,
    Acknowledgement.DROP: Outcome.REFUSED,
}


class HandlerOutcomes:
    """The counts of one process, since its start."""

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        """`now`: where it is given, it is kept how late events are handled."""
        self._now = now
        self._lags: dict[str, float] = {}
        self.counts: Counter[tuple[str, str, Outcome]] = Counter()
        """(service, event type, outcome) → events."""

    def answered(self, service: str, deliveries: Sequence[Delivery], answers: Sequence[Acknowledgement]) -> None:
        """Count the handler's answers to these deliveries."""
        if answers.count(_SUCCESS) == len(deliveries) and max(map(_ATTEMPT, deliveries)) == 1:  # nearly always
            for event_type, number in Counter(map(_TYPE, deliveries)).items():
                self.counts[service, event_type, _HANDLED] += number
        else:
            for delivery, answer in zip(deliveries, answers, strict=True):
                if delivery.attempt == 1:
                    outcome = _HANDLED if answer is _SUCCESS else _ANSWERED[answer]
                    self.counts[service, delivery.event.type, outcome] += 1
        if self._now is not None:
            late = (self._now() - deliveries[0].event.time).total_seconds()
            self._lags[service] = max(late, self._lags.get(service, 0.0))

    def of(self, service: str) -> Mapping[str, float]:
        """Figures of one service by metric name, and the greatest age of an event at the end of its handling since the
        last look here.
        """
        found = {
            f'cludale_handler_outcomes_total{{type="{event_type}",outcome="{outcome}"}}': float(count)
            for (name, event_type, outcome), count in self.counts.items()
            if name == service
        }
        return found | {"cludale_handler_lag_seconds": self._lags.pop(service, 0.0)}

    def failed(self, service: str, delivery: Delivery) -> None:
        """The handler broke at this one alone."""
        if delivery.attempt == 1:
            self.counts[service, delivery.event.type, Outcome.FAILED] += 1

    def buried(self, service: str, event_type: str) -> None:
        """It was given up."""
        self.counts[service, event_type, Outcome.BURIED] += 1

    def gauges(self, revision: str) -> Mapping[str, float]:
        """By metric name, with the revision that this process is of; empty where nobody said."""
        return {
            f'cludale_handler_outcomes_total{{service="{service}",type="{event_type}",outcome="{outcome}",'
            f'revision="{revision}"}}': count
            for (service, event_type, outcome), count in self.counts.items()
        }
