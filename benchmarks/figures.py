"""Figures over several rounds, and what one of them is of another: pure, so that it can be tested."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple, Self, TypeVar

import msgspec

T = TypeVar("T")


class Spread(msgspec.Struct, frozen=True):
    """A figure over all rounds."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Median, least and most; there has to be one at least."""
        return cls(median(values), min(values), max(values))

    def text(self, decimals: int) -> str:
        """The median, and least to most in brackets."""
        return f"{self.median:.{decimals}f} ({self.min:.{decimals}f}-{self.max:.{decimals}f})"


class Turn(NamedTuple):
    """One measurement: which step, on which side's server, in which round; all counted from 0."""

    round: int
    step: int
    side: int


def turns(*, rounds: int, steps: int, sides: int = 2) -> list[Turn]:
    """Each step on each side in every round, one side right after the other.

    Who comes first is swapped from round to round, and each round begins with another step: whatever changes on the
    machine meanwhile meets all alike.
    """
    return [
        Turn(number, (number + step) % steps, (number + side) % sides)
        for number in range(rounds)
        for step in range(steps)
        for side in range(sides)
    ]


class Ratio(msgspec.Struct, frozen=True):
    """What our figure is of the other's: in each round, and over all of them."""

    ours: Spread
    theirs: Spread
    pairs: list[float]
    """Round by round."""
    of_pairs: Spread


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """The figures of the same rounds, pair by pair. Raises ValueError if there are not as many of both."""
    pairs = [round(our / their, 3) for our, their in zip(ours, theirs, strict=True)]
    return Ratio(Spread.of(ours), Spread.of(theirs), pairs, Spread.of(pairs))


def as_rows(ratios: Mapping[str, tuple[Ratio, int]], *, ours: str, theirs: str) -> list[list[str]]:
    """Rows of text, the first of them the headings, of ratios with the decimals of their figures."""
    rows = [["", ours, theirs, "ratio", "round by round"]]
    for name, (each, decimals) in ratios.items():
        pairs = ", ".join(f"{pair:.2f}" for pair in each.pairs)
        rows.append([name, each.ours.text(decimals), each.theirs.text(decimals), each.of_pairs.text(2), pairs])
    return rows


def side_by_side(
    title: str, found: Mapping[str, Mapping[str, T]], *, text: Callable[[T], str], over: Callable[[T, T], str]
) -> list[list[str]]:
    """Rows of text, the first of them the headings: what was found, by kind and side, and the first side over each
    other one.
    """
    sides = list(next(iter(found.values())))
    rows = [[title, *sides, *(f"over {side}" for side in sides[1:])]]
    for kind, by_side in found.items():
        mine, *others = by_side.values()
        rows.append([kind, *map(text, by_side.values()), *(over(mine, other) for other in others)])
    return rows
