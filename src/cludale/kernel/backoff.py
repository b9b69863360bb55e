"""Exponential backoff with a limit and jitter."""

from typing import NamedTuple


class Backoff(NamedTuple):
    """Waits of `first_seconds`, doubling, at most `max_seconds`, each shortened by up to half at random."""

    first_seconds: float
    max_seconds: float

    def seconds(self, attempt: int, jitter: float = 0.0) -> float:
        """The wait after the `attempt`-th try (from 1); `jitter` is a random share in [0, 1)."""
        full = min(self.max_seconds, self.first_seconds * 2 ** min(attempt - 1, 32))
        return float(full * (1 - jitter / 2))
