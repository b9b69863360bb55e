"""Conditions: what a query asks of each field, and in which parts its pages come. For stores that speak SQL.

Records without a value in `order_by` come after all others, in either direction: so there are two parts, those with
a value there and those without, and each store asks for one after the other.
"""

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import NamedTuple

from cludale.ports.records import IndexValue, Kind, Query


class Test(Enum):
    """What is asked of a field."""

    __test__ = False  # not one of pytest's

    ABSENT = auto()
    PRESENT = auto()
    EQUAL = auto()
    CONTAINS = auto()
    FROM = auto()
    BEFORE = auto()


class Condition(NamedTuple):
    """`value` is None for ABSENT and PRESENT only."""

    field: str
    test: Test
    value: IndexValue = None


class Conditions(NamedTuple):
    """All that must be true of a match, and the parts of the pages."""

    all: Sequence[Condition]
    has_valued_part: bool
    """May there be matches with a value in `order_by`? Without an order all are in this part."""
    has_valueless_part: bool


def conditions_of(kind: Kind, query: Query) -> Conditions:
    """What this query asks. Raises ValueError for a field that is not indexed, and for a page of nothing."""
    if query.limit < 1:
        raise ValueError(f"a page of {query.limit}")
    found = list(_conditions(query))
    order_by = query.order_by
    for field in [condition.field for condition in found] + ([] if order_by is None else [order_by]):
        if field not in kind.indexed:
            raise ValueError(f"{field!r} is not an indexed field of {kind}")
    asked = {condition.test is not Test.ABSENT for condition in found if condition.field == order_by}
    return Conditions(
        found,
        has_valued_part=order_by is None or asked != {False},
        has_valueless_part=order_by is not None and True not in asked,
    )


def _conditions(query: Query) -> Iterator[Condition]:
    for field, value in query.equal.items():
        yield Condition(field, Test.ABSENT) if value is None else Condition(field, Test.EQUAL, value)
    for field, needle in query.contains.items():
        yield Condition(field, Test.CONTAINS, needle)
    for field, since, until in query.within:
        yield Condition(field, Test.PRESENT)
        if since is not None:
            yield Condition(field, Test.FROM, since)
        if until is not None:
            yield Condition(field, Test.BEFORE, until)
