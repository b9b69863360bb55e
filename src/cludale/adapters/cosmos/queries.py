"""Queries over indexed fields, as SQL. A page continues where the one before ended, by value: no token but ours.

Records without a value in the field that sorts come after all others, in either direction. So a page has up to two
parts, and a cursor names the last record of the part that it ended in.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from cludale.adapters.cosmos.documents import Document, kind_name
from cludale.adapters.cosmos.layout import FIELDS
from cludale.ports.records import IndexValue, Kind, Query
from cludale.runtime.conditions import Condition, Test, conditions_of
from cludale.runtime.cursors import Cursors, Value, question_of

_TESTS = {
    Test.ABSENT: "NOT IS_DEFINED({column})",
    Test.PRESENT: "IS_DEFINED({column})",
    Test.EQUAL: "{column} = {value}",
    Test.CONTAINS: "CONTAINS({column}, {value})",
    Test.FROM: "{column} >= {value}",
    Test.BEFORE: "{column} < {value}",
}


class Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Where a page ended."""

    question: str
    came: str
    value: Value = None


_cursors = Cursors(Cursor)


class Sql(NamedTuple):
    """A query and its parameters."""

    text: str
    parameters: dict[str, Any]


class Question:
    """A query of one kind of record. Raises ValueError for a field that is not indexed, UnusableCursor."""

    def __init__(self, kind: Kind, query: Query) -> None:
        asked = conditions_of(kind, query)
        self._query = query
        self._conditions = ["c.kind = @kind"]
        self._parameters: dict[str, Any] = {"kind": kind_name(kind)}
        if query.partition is not None:
            self._conditions.append("c.pk = @pk")
            self._parameters["pk"] = query.partition
        self._conditions += [self._condition(condition) for condition in asked.all]
        by = query.order_by
        self._by = None if by is None else _column(by)
        self.has_valued_part = asked.has_valued_part
        self.has_valueless_part = asked.has_valueless_part
        self._question = question_of(kind, query)
        self.cursor = _cursors.read(query.after, self._question)
        if by is not None and self.cursor is not None and self.cursor.value is None:
            self.has_valued_part = False

    def _condition(self, condition: Condition) -> str:
        value = "" if condition.value is None else self._parameter(condition.value)
        return _TESTS[condition.test].format(column=_column(condition.field), value=value)

    def _parameter(self, value: IndexValue) -> str:
        name = f"p{len(self._parameters)}"
        self._parameters[name] = value
        return f"@{name}"

    def valued_part(self, limit: int) -> Sql:
        """All matches; with `order_by` those that have a value there."""
        way, past = ("DESC", "<") if self._query.descending else ("ASC", ">")
        conditions, parameters = list(self._conditions), dict(self._parameters)
        if self._by is None:
            order = f"c.kind {way}, c.came {way}"
        else:
            order = f"c.kind {way}, {self._by} {way}, c.came {way}"
            conditions.append(f"IS_DEFINED({self._by})")
        if self.cursor is not None:
            parameters["came"] = self.cursor.came
            if self._by is None:
                conditions.append(f"c.came {past} @came")
            else:
                parameters["value"] = self.cursor.value
                conditions.append(f"({self._by} {past} @value OR ({self._by} = @value AND c.came {past} @came))")
        return self._sql(conditions, order, limit, parameters)

    def valueless_part(self, limit: int) -> Sql:
        """Those that have no value in `order_by`."""
        way, past = ("DESC", "<") if self._query.descending else ("ASC", ">")
        conditions = [*self._conditions, f"NOT IS_DEFINED({self._by})"]
        parameters = dict(self._parameters)
        if self.cursor is not None and self.cursor.value is None:
            parameters["came"] = self.cursor.came
            conditions.append(f"c.came {past} @came")
        return self._sql(conditions, f"c.kind {way}, c.came {way}", limit, parameters)

    def _sql(self, conditions: Sequence[str], order: str, limit: int, parameters: dict[str, Any]) -> Sql:
        return Sql(
            f"SELECT TOP {limit} * FROM c WHERE {' AND '.join(conditions)} ORDER BY {order}",  # noqa: S608 - field names are declared ones, values are parameters
            parameters,
        )

    def in_order(self, found: Sequence[Document], limit: int) -> list[Document]:
        """The first of what several partitions have answered to one part."""
        return sorted(found, key=self._rank, reverse=self._query.descending)[:limit]

    def _rank(self, document: Document) -> tuple[bool, Any, str]:
        value = self._value(document)
        return (isinstance(value, str), 0 if value is None else value, document["came"])

    def _value(self, document: Document) -> IndexValue:
        by = self._query.order_by
        value: IndexValue = None if by is None else document[FIELDS].get(by)
        return value

    def past(self, document: Document) -> str:
        """The cursor past this record."""
        return _cursors.write(Cursor(self._question, document["came"], self._value(document)))


def _column(field: str) -> str:
    return f'c.{FIELDS}["{field}"]'
