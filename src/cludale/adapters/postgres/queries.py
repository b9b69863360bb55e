"""Reading: a query over indexed fields as SQL, and the cursor that continues it. No connections, no writing."""
# ruff: noqa: S608 - names of tables and columns were checked by schema.Table, values are always bound

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from cludale.adapters.postgres.connection import Connection
from cludale.adapters.postgres.schema import Table
from cludale.adapters.postgres.values import FIRST_TEXT, decoded_text, encoded
from cludale.ports.records import Page, Query, Stored, UnusableCursor
from cludale.runtime.conditions import Condition, Test, conditions_of
from cludale.runtime.cursors import Cursors, Place, question_of

_Bound = str | int
_FIRST_TEXT: Final = f"chr({ord(FIRST_TEXT[0])}) || '{FIRST_TEXT[1]}'"

_TESTS = {
    Test.ABSENT: "{column} IS NULL",
    Test.PRESENT: "{column} IS NOT NULL",
    Test.EQUAL: "{column} = {value}",
    Test.CONTAINS: f"strpos({{column}}, {{value}}) > 0 AND {{column}} >= {_FIRST_TEXT}",
    Test.FROM: "{column} >= {value}",
    Test.BEFORE: "{column} < {value}",
}


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    question: str
    n: Place
    value: Annotated[str, Meta(pattern=r"^[^\x00]*$")] | None = None
    """As it is stored."""


_cursors = Cursors(_Cursor)


def stored(row: Sequence[Any]) -> Stored:
    """A record from id, version and body."""
    return Stored(decoded_text(row[0]), row[1], row[2])


async def find(connection: Connection, question: "Question") -> Page:
    """A page of what the question asks for."""
    query, cursor = question.query, question.cursor
    wanted = query.limit + 1
    found: list[Any] = []
    if question.has_valued_part and (cursor is None or query.order_by is None or cursor.value is not None):
        sql, values = question.valued_part(cursor, wanted)
        found = await connection.fetch(sql, *values)
        cursor = None
    if question.has_valueless_part and len(found) < wanted:
        sql, values = question.valueless_part(cursor, wanted - len(found))
        found += await connection.fetch(sql, *values)
    items = [stored(row) for row in found[: query.limit]]
    if len(found) < wanted:
        return Page(items, None)
    _, _, _, n, value = found[query.limit - 1]
    return Page(items, question.next(n, value))


class Question:
    """A query as SQL. Records without a value in `order_by` come after all others, in either direction."""

    def __init__(self, table: Table, query: Query) -> None:
        """Raises UnusableCursor; ValueError for what is not indexed."""
        self._table = table
        self.query = query
        asked = conditions_of(table.kind, query)
        self._bound: list[_Bound] = []
        self._conditions = [self._sql(condition) for condition in asked.all]
        self._order = None if query.order_by is None else _column(query.order_by)
        self.has_valued_part = asked.has_valued_part
        self.has_valueless_part = asked.has_valueless_part
        self._question = question_of(table.kind, query)
        self.cursor = _cursors.read(query.after, self._question)

    def next(self, n: int, value: str | None) -> str:
        """The cursor past this record."""
        return _cursors.write(_Cursor(self._question, n, value))

    def valued_part(self, cursor: _Cursor | None, limit: int) -> tuple[str, Sequence[_Bound]]:
        """All matches, or with `order_by` those that have a value there."""
        way, past = ("DESC", "<") if self.query.descending else ("ASC", ">")
        bound = list(self._bound)
        if self._order is None:
            start = [] if cursor is None else [f"n {past} {_bind(bound, cursor.n)}"]
            return self._select("NULL", start, f"n {way}", bound, limit)
        more = [f"{self._order} IS NOT NULL"]
        if cursor is not None:
            if cursor.value is None:
                raise UnusableCursor("the cursor belongs to another part of the query")
            more.append(f"({self._order}, n) {past} ({_bind(bound, cursor.value)}, {_bind(bound, cursor.n)})")
        return self._select(self._order, more, f"{self._order} {way}, n {way}", bound, limit)

    def valueless_part(self, cursor: _Cursor | None, limit: int) -> tuple[str, Sequence[_Bound]]:
        """Those that have no value in `order_by`."""
        way, past = ("DESC", "<") if self.query.descending else ("ASC", ">")
        bound = list(self._bound)
        more = [f"{self._order} IS NULL"]
        if cursor is not None:
            more.append(f"n {past} {_bind(bound, cursor.n)}")
        return self._select("NULL", more, f"n {way}", bound, limit)

    def _select(
        self, value: str, more: Sequence[str], order: str, bound: list[_Bound], limit: int
    ) -> tuple[str, Sequence[_Bound]]:
        conditions = [*self._conditions, *more]
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        return (
            f"SELECT id, version, body, n, {value}::text FROM {self._table.name} {where}"
            f"ORDER BY {order} LIMIT {_bind(bound, limit)}",
            bound,
        )

    def _sql(self, condition: Condition) -> str:
        value = encoded(condition.value)
        placeholder = "" if value is None else _bind(self._bound, value)
        return _TESTS[condition.test].format(column=_column(condition.field), value=placeholder)


def _column(field: str) -> str:
    return f'"{field}"'


def _bind(bound: list[_Bound], value: _Bound) -> str:
    """The placeholder under which `value` is bound."""
    bound.append(value)
    return f"${len(bound)}"
