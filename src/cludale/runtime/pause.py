"""Pause: a circuit breaker. Stops calls to a server that refuses them. The time is an argument; no clock, no I/O."""

from datetime import datetime, timedelta

from cludale.kernel.backoff import Backoff


class Pause:
    """After a failure no calls for a time that doubles; then one at a time; after a success all again."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._until: datetime | None = None
        self._failures = 0

    def trouble(self, now: datetime, jitter: float) -> datetime:
        """A call failed. Returns when to try again; calls begun before the pause don't make it longer."""
        if self._until is None or now >= self._until:
            self._failures += 1
            self._until = now + timedelta(seconds=self._backoff.seconds(self._failures, jitter))
        return self._until

    def went_well(self) -> None:
        """A call succeeded."""
        self._until = None
        self._failures = 0

    def room(self, now: datetime, most: int) -> int:
        """How many calls may be made at once now."""
        if self._until is None:
            return most
        return 1 if now >= self._until else 0
