"""Latencies, each kept as it was: eight bytes a request, of which a load has so many. No clock here; see `load`."""

from array import array
from collections.abc import Iterable
from math import ceil


class Latencies:
    """Latencies in seconds. Two can be merged."""

    __slots__ = ("_seconds",)

    def __init__(self, seconds: Iterable[float] = ()) -> None:
        self._seconds = array("d", seconds)

    def add(self, seconds: float) -> None:
        """Keep one latency."""
        self._seconds.append(seconds)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._seconds)

    def quantile(self, share: float) -> float | None:
        """The latency in seconds that `share` (0 to 1) of all did not exceed; None if there are none."""
        if not self._seconds:
            return None
        return sorted(self._seconds)[max(1, ceil(share * len(self._seconds))) - 1]

    @classmethod
    def merged(cls, parts: "Iterable[Latencies]") -> "Latencies":
        """All of `parts` together."""
        return cls(seconds for part in parts for seconds in part._seconds)  # noqa: SLF001 - its own class
