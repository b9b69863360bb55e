"""Pause: leaves a server alone that takes nothing now. Decides by the time that it is told; no clock, no I/O."""

from datetime import datetime, timedelta

from cludale.runtime.backoff import Backoff


class Pause:
    """After trouble, nothing for a while that doubles; then one try at a time; after one that went well, all again."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._until: datetime | None = None
        self._failures = 0

    def trouble(self, now: datetime, jitter: float) -> datetime:
        """It took nothing. Returns when it is tried again; what was begun before a pause doesn't make it longer."""
        if self._until is None or now >= self._until:
            self._failures += 1
            self._until = now + timedelta(seconds=self._backoff.seconds(self._failures, jitter))
        return self._until

    def went_well(self) -> None:
        """It took something."""
        self._until = None
        self._failures = 0

    def room(self, now: datetime, most: int) -> int:
        """How many tries there may be at once now."""
        if self._until is None:
            return most
        return 1 if now >= self._until else 0
