"""Latencies in buckets: bounded memory however many there are. No clock here; see `load` for what is timed."""

from array import array
from collections.abc import Iterable
from math import ceil
from typing import Final

_BITS: Final = 7
_LARGEST: Final = (1 << 36) - 1
_BUCKETS: Final = (36 - _BITS) << _BITS | (1 << _BITS) - 1


class Latencies:
    """Counts of latencies, each bucket at most 1/128 of its value wide (1 µs under 256 µs), up to 19 hours.

    The same idea as HdrHistogram; adding one takes well under a microsecond and two can be merged.
    """

    __slots__ = ("_counts", "count", "largest_seconds", "total_seconds")

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * (_BUCKETS + 1)))
        self.count = 0
        self.total_seconds = 0.0
        self.largest_seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one latency; less than nothing counts as nothing."""
        micros = int(seconds * 1e6)
        if not 0 <= micros <= _LARGEST:
            micros = 0 if micros < 0 else _LARGEST
        shift = micros.bit_length() - _BITS - 1
        self._counts[(shift << _BITS) + (micros >> shift) if shift > 0 else micros] += 1
        self.count += 1
        self.total_seconds += seconds
        if seconds > self.largest_seconds:  # noqa: PLR1730 - max() costs more than all the rest here
            self.largest_seconds = seconds

    def quantile(self, share: float) -> float | None:
        """The latency in seconds that `share` (0 to 1) of all did not exceed; None if there are none."""
        if not self.count:
            return None
        rank = max(1, ceil(share * self.count))
        seen = 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                return min(_middle_micros(bucket) / 1e6, self.largest_seconds)
        raise AssertionError("the buckets hold fewer than were counted")

    @property
    def mean(self) -> float | None:
        """The mean in seconds; None if there are none."""
        return self.total_seconds / self.count if self.count else None

    @classmethod
    def merged(cls, parts: "Iterable[Latencies]") -> "Latencies":
        """All of `parts` together."""
        whole = cls()
        for part in parts:
            for bucket, count in enumerate(part._counts):  # noqa: SLF001 - its own class
                if count:
                    whole._counts[bucket] += count
            whole.count += part.count
            whole.total_seconds += part.total_seconds
            whole.largest_seconds = max(whole.largest_seconds, part.largest_seconds)
        return whole


def _middle_micros(bucket: int) -> float:
    shift = (bucket >> _BITS) - 1
    if shift <= 0:
        return bucket + 0.5
    return ((bucket - (shift << _BITS)) << shift) + (1 << shift) / 2
