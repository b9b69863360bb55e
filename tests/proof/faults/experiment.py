"""What an experiment stands on: how much of it to do, where its figures go, and a count of the faults it made."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import count
from pathlib import Path
from random import Random
from typing import TypeVar

import msgspec

N = TypeVar("N", int, float)
T = TypeVar("T")

MOST_TURNS = 12
"""After so many turns a fault that has not happened yet is taken for one that cannot."""


class Scale(StrEnum):
    """How much is done."""

    QUICK = "quick"
    SLOW = "slow"
    FULL = "full"

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Scale":
        """RELIABILITY_SCALE, or QUICK. Raises ValueError."""
        return cls(environ.get("RELIABILITY_SCALE") or cls.QUICK)

    def of_three(self, quick: N, slow: N, full: N) -> N:
        """The count for this scale."""
        match self:
            case Scale.QUICK:
                return quick
            case Scale.SLOW:
                return slow
            case Scale.FULL:
                return full

    def some_of(self, random: Random, all_of_them: Sequence[T], *, quick: int) -> Sequence[T]:
        """All of them, or a few for the quick scale."""
        return random.sample(all_of_them, quick) if self is Scale.QUICK else all_of_them


class Figures:
    """Rows of named cells, by table; written down for the report, if someone asked for one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def row(self, table: str, **cells: str | float | None) -> None:
        """One row of a table of the report."""
        self._write({"table": table, "cells": cells})

    def say(self, what: str) -> None:
        """How far it is, for whoever looks on."""
        self._write({"said": what})

    def _write(self, line: Mapping[str, object]) -> None:
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(line) + b"\n")


class Faults:
    """How often each fault really happened, by name. `expect` one before it can."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say` is told of each."""
        self.fired: dict[str, int] = {}
        self._say = say

    def expect(self, name: str) -> None:
        """This fault is meant to happen here."""
        self.fired.setdefault(name, 0)

    def fire(self, name: str, times: int = 1) -> None:
        """It did."""
        self.count(name, self.fired[name] + times)

    def count(self, name: str, times: int) -> None:
        """So many times it has happened by now."""
        self.fired[name] = times
        self._say(f"{times:,} x {name}")

    @property
    def missing(self) -> list[str]:
        """Those that were expected and have not happened yet."""
        return [name for name, times in self.fired.items() if not times]

    def turns(self, at_least: int = 1, *, until: Callable[[], bool] = lambda: True) -> Iterator[int]:
        """So many turns, and then more while a fault is missing or `until` says no: MOST_TURNS at most, each with its
        number.

        For faults that come by chance or by how fast the machine is, and for what is measured, which whatever else runs
        may have spoilt. A fault that cannot come is missing in the end.
        """
        for turn in count():
            if turn >= at_least and (turn >= MOST_TURNS or (not self.missing and until())):
                return
            yield turn
