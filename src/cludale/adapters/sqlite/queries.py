"""Reading: records by id, pages of a query, the outbox. One step through SQLite a statement, however many rows.

A step gives the GIL up and has to win it back from a busy thread, so rows come packed into one: a JSON list of
what describes them, and their bodies end to end. No writing, no threads.
"""
# ruff: noqa: S608 - names of tables and columns were checked by schema.Table, values are always bound

import time
from collections.abc import Callable, Sequence

import apsw
import msgspec

from cludale.adapters.sqlite.outbox import unpacked
from cludale.adapters.sqlite.packed_queries import find as find_packed
from cludale.adapters.sqlite.packed_queries import stored
from cludale.adapters.sqlite.packed_table import PackedTable
from cludale.adapters.sqlite.places import PlaceOfRow, cursors
from cludale.adapters.sqlite.schema import OUTBOX_PENDING, Table, Tables
from cludale.adapters.sqlite.statements import run
from cludale.ports.outbox import Outgoing
from cludale.ports.records import IndexValue, Kind, Page, Query, Stored
from cludale.runtime.conditions import Test, conditions_of
from cludale.runtime.cursors import question_of

_OPERATIONS_BETWEEN_LOOKS_AT_THE_CLOCK = 50_000

_Ranked = tuple[str, int, int, int, IndexValue]
"""id, version, size of the body, n, value in the field that sorts."""

_TESTS = {
    Test.ABSENT: "{} IS NULL",
    Test.PRESENT: "{} IS NOT NULL",
    Test.EQUAL: "{} = ?",
    Test.CONTAINS: "instr({}, ?) > 0",
    Test.FROM: "{} >= ?",
    Test.BEFORE: "{} < ?",
}

_described = msgspec.json.Decoder(list[tuple[str, int, int]])
_ranked = msgspec.json.Decoder(list[_Ranked])


class Reader:
    """Reads over one connection, from one thread at a time."""

    def __init__(self, connection: apsw.Connection, tables: Tables) -> None:
        self._connection = connection
        self._tables = tables

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, kind: Kind, ids: Sequence[str]) -> dict[str, Stored]:
        """Those of the records that exist."""
        table = self._tables[kind]
        if isinstance(table, PackedTable):
            return {each.id: each for each in map(stored, table.get(self._connection.execute, ids))}
        found: dict[str, Stored] = {}
        for described, bodies in run(self._connection.execute, table.read, ids, 1):
            at = 0
            for identity, version, size in _described.decode(described):
                found[identity] = Stored(identity, version, bodies[at : at + size])
                at += size
        return found

    def pending(self, after: int, limit: int, waits: Callable[[int], bool] = lambda _: True) -> Sequence[Outgoing]:
        """Up to `limit` entries of the outbox past position `after`, of those that wait."""
        found: list[Outgoing] = []
        for last, body in self._connection.execute(OUTBOX_PENDING, (after, limit)):
            found += [entry for entry in unpacked(last, body) if entry.position > after and waits(entry.position)]
            if len(found) >= limit:
                break
        return found[:limit]

    def find(self, kind: Kind, query: Query, *, seconds: float) -> Page:
        """A page. Raises UnusableCursor, ValueError for what is not indexed, apsw.InterruptError past `seconds`."""
        deadline = time.monotonic() + seconds
        self._connection.set_progress_handler(
            lambda: time.monotonic() > deadline, _OPERATIONS_BETWEEN_LOOKS_AT_THE_CLOCK
        )
        try:
            table = self._tables[kind]
            if isinstance(table, PackedTable):
                return find_packed(self._connection, table, query, deadline)
            return self._find(table, query)
        finally:
            self._connection.set_progress_handler(None)

    def _find(self, table: Table, query: Query) -> Page:
        question = Question(table, query)
        cursor = question.cursor()
        wanted = query.limit + 1
        ranked: list[_Ranked] = []
        bodies = b""
        if question.has_valued_part and (cursor is None or query.order_by is None or cursor.value is not None):
            ranked, bodies = self._ranked(*question.valued_part(cursor, wanted))
            cursor = None
        if question.has_valueless_part and len(ranked) < wanted:
            more, more_bodies = self._ranked(*question.valueless_part(cursor, wanted - len(ranked)))
            ranked += more
            bodies += more_bodies
        items = []
        at = 0
        for identity, version, size, _, _ in ranked[: query.limit]:
            items.append(Stored(identity, version, bodies[at : at + size]))
            at += size
        if len(ranked) < wanted:
            return Page(items, None)
        _, _, _, n, value = ranked[query.limit - 1]
        return Page(items, question.next(n, value))

    def _ranked(self, sql: str, bindings: Sequence[object]) -> tuple[list[_Ranked], bytes]:
        described, bodies = self._row(sql, bindings)
        return _ranked.decode(described), bodies

    def _row(self, sql: str, bindings: Sequence[object]) -> tuple[str, bytes]:
        described, bodies = self._connection.execute(sql, bindings).get
        return described, bodies or b""


class Question:
    """A query as SQL. Records without a value in `order_by` come after all others, in either direction."""

    def __init__(self, table: Table, query: Query) -> None:
        self._table = table
        self._query = query
        asked = conditions_of(table.kind, query)
        self._conditions = [_TESTS[test].format(_column(field)) for field, test, _ in asked.all]
        self._bindings = [value for _, _, value in asked.all if value is not None]
        self._order = None if query.order_by is None else _column(query.order_by)
        self.has_valued_part = asked.has_valued_part
        self.has_valueless_part = asked.has_valueless_part
        self._asked = question_of(table.kind, query)

    def cursor(self) -> PlaceOfRow | None:
        """Where the page before ended. Raises UnusableCursor."""
        return cursors.read(self._query.after, self._asked)

    def next(self, n: int, value: IndexValue) -> str:
        """The cursor past this record."""
        return cursors.write(PlaceOfRow(self._asked, n, value))

    def valued_part(self, cursor: PlaceOfRow | None, limit: int) -> tuple[str, Sequence[object]]:
        """All matches, or with `order_by` those that have a value there."""
        way, past = ("DESC", "<") if self._query.descending else ("ASC", ">")
        if self._order is None:
            start = [] if cursor is None else [(f"n {past} ?", (cursor.n,))]
            return self._select("NULL", start, f"n {way}", limit)
        more: list[tuple[str, Sequence[IndexValue]]] = [(f"{self._order} IS NOT NULL", ())]
        if cursor is not None:
            more.append((f"({self._order}, n) {past} (?, ?)", (cursor.value, cursor.n)))
        return self._select(self._order, more, f"{self._order} {way}, n {way}", limit)

    def valueless_part(self, cursor: PlaceOfRow | None, limit: int) -> tuple[str, Sequence[object]]:
        """Those that have no value in `order_by`."""
        way, past = ("DESC", "<") if self._query.descending else ("ASC", ">")
        more: list[tuple[str, Sequence[IndexValue]]] = [(f"{self._order} IS NULL", ())]
        if cursor is not None:
            more.append((f"n {past} ?", (cursor.n,)))
        return self._select("NULL", more, f"n {way}", limit)

    def _select(
        self, value: str, more: Sequence[tuple[str, Sequence[IndexValue]]], order: str, limit: int
    ) -> tuple[str, Sequence[object]]:
        conditions = [*self._conditions, *(condition for condition, _ in more)]
        bindings = [*self._bindings, *(value for _, values in more for value in values), limit]
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        return (
            "SELECT json_group_array(json_array(id, version, octet_length(body), n, value)), "
            "CAST(group_concat(CAST(body AS TEXT), '') AS BLOB) FROM "
            f"(SELECT id, version, body, n, {value} AS value FROM {self._table.name} {where}ORDER BY {order} LIMIT ?)",
            bindings,
        )


def _column(field: str) -> str:
    return f'"{field}"'
