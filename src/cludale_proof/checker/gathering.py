"""Gathering: what one check of a whole world finds, counts and tells on its way."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cludale_proof.checker.events import Fact
from cludale_proof.checker.findings import Invariant, Violation, violated

Progress = Callable[[str, int, int], None]
"""Is told what is being read, how many rows have been, and how many there are (about)."""

_PROGRESS_EVERY = 5_000


class Gathering:
    """At most `limit` violations are kept, the others are counted."""

    def __init__(self, *, size: int, limit: int, progress: Progress | None) -> None:
        """`size`: how many rows there are, about."""
        self.violations: list[Violation] = []
        self.omitted = 0
        self.notes: list[str] = []
        self.unchecked: list[str] = []
        self.counts: dict[str, int] = {}
        self._limit = limit
        self._progress = progress
        self._size = size
        self._done = 0

    def found(self, violations: Iterable[Violation]) -> None:
        """These rules are broken."""
        for violation in violations:
            if len(self.violations) < self._limit:
                self.violations.append(violation)
            else:
                self.omitted += 1

    def wrong(self, invariant: Invariant, rule: str, subject: str, detail: str, *evidence: Fact) -> None:
        """This rule is broken by `subject`."""
        self.found([violated(invariant, rule, subject, detail, *evidence)])

    def counted(self, stage: str, things: Iterable[Any], *, tells: bool = True) -> Iterator[Any]:
        """These, counted as `stage`."""
        number = 0
        for number, thing in enumerate(things, 1):
            yield thing
            if tells and not number % _PROGRESS_EVERY:
                self._tell(stage, _PROGRESS_EVERY)
        if tells:
            self._tell(stage, number % _PROGRESS_EVERY)
        self.counts[stage] = self.counts.get(stage, 0) + number

    def _tell(self, stage: str, rows: int) -> None:
        self._done += rows
        if self._progress is not None:
            self._progress(stage, min(self._done, self._size), self._size)
