"""Pages of a query over a packed table: the rows that may have matches come from SQLite, which of their records do,
is looked at here. No writing, no threads.
"""
# ruff: noqa: S608 - names of tables and columns were checked by schema, values are always bound

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import apsw

from cludale.adapters.sqlite.packed_table import PackedTable, key_of
from cludale.adapters.sqlite.places import PlaceOfRow, cursors
from cludale.ports.records import IndexValue, Page, Query, Stored
from cludale.runtime.conditions import Condition, Test, conditions_of
from cludale.runtime.cursors import question_of
from cludale.runtime.planning import Row

_Ranked = tuple[tuple[bool, IndexValue], int, Row]
"""What sorts (see `_comparable`), number, record."""
_NOTHING = (False, 0)
_BOUNDS = {
    Test.EQUAL: '? BETWEEN "{0}_least" AND "{0}_most"',
    Test.FROM: '"{0}_most" >= ?',
    Test.BEFORE: '"{0}_least" < ?',
}
"""Which rows can have a match."""
_REACHES = {Test.FROM: '"{0}_most" >= ?', Test.BEFORE: '"{0}_least" <= ?'}
"""Which rows can have a match at a cursor's value or past it, in rising and in falling order."""


def find(connection: apsw.Connection, table: PackedTable, query: Query, deadline: float) -> Page:
    """A page. Raises UnusableCursor, ValueError for what is not indexed, apsw.InterruptError past the deadline."""
    search = _Search(connection, table, query, deadline)
    connection.execute("BEGIN")  # rows are packed anew beside this
    try:
        ranked = search.ranked(query.limit + 1)
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")
    items = [stored(row) for _, _, row in ranked[: query.limit]]
    if len(ranked) <= query.limit:
        return Page(items, None)
    (_, value), n, _ = ranked[query.limit - 1]
    return Page(items, cursors.write(PlaceOfRow(search.question, n, None if query.order_by is None else value)))


def stored(row: Row) -> Stored:
    """A record as it was committed."""
    return Stored(*row[:3])  # id, version, body


class _Search:
    def __init__(self, connection: apsw.Connection, table: PackedTable, query: Query, deadline: float) -> None:
        self._connection = connection
        self._table = table
        self._query = query
        if query.order_by is not None and query.order_by not in table.kind.sorted_by:
            raise ValueError(f"{query.order_by!r} is no field by which {table.kind} is sorted")
        self._deadline = deadline
        self._conditions = conditions_of(table.kind, query).all
        self.question = question_of(table.kind, query)
        self._tests = [(table.column(each.field), _test(each)) for each in self._conditions]
        self._past = cursors.read(query.after, self.question)
        self._by = None if query.order_by is None else table.column(query.order_by)

    def ranked(self, wanted: int) -> Sequence[_Ranked]:
        """The first so many matches past the cursor."""
        found: list[_Ranked] = []
        for n, bound in self._rows():
            if time.monotonic() > self._deadline:
                raise apsw.InterruptError("interrupted")
            if len(found) >= wanted and self._sure(found, bound) >= wanted:
                break
            found += self._matches(n)
            found.sort(key=_place, reverse=self._query.descending)
        return found[:wanted]

    def _sure(self, found: Sequence[_Ranked], bound: IndexValue) -> int:
        """How many of these, which are in order, come before everything in the rows from this bound on."""
        if self._by is None:
            return len(found)
        if self._query.descending:
            return next((at for at, each in enumerate(found) if each[0] <= _comparable(bound)), len(found))
        return bisect_left(found, _comparable(bound), key=lambda each: each[0])

    def _matches(self, n: int) -> Iterator[_Ranked]:
        last, rows = self._table.row(self._connection.execute, n)
        for number, row in enumerate(rows, last - len(rows) + 1):
            if all(holds(row[column]) for column, holds in self._tests):
                sorts = _NOTHING if self._by is None else _comparable(row[self._by])
                if self._follows(sorts, number):
                    yield sorts, number, row

    def _follows(self, sorts: tuple[bool, object], n: int) -> bool:
        past = self._past
        if past is None:
            return True
        before = (_NOTHING if self._by is None else _comparable(past.value), past.n)
        return (sorts, n) < before if self._query.descending else (sorts, n) > before

    def _rows(self) -> Iterator[tuple[int, IndexValue]]:
        """Rows that may have matches past the cursor, in order, and where the values that sort begin in each."""
        name, query = self._table.name, self._query
        way = "DESC" if query.descending else "ASC"
        having, values = self._having()
        conditions, bindings = self._spans()
        if query.order_by is None and not conditions:
            yield from self._connection.execute(f"{having} ORDER BY n {way}", values)
            return
        sorts = "n"
        if query.order_by is not None:
            sorts = f'"{query.order_by}_{"most" if query.descending else "least"}"'
        yield from self._connection.execute(
            f"SELECT n, {sorts} FROM {name} WHERE {' AND '.join([*conditions, f'{sorts} IS NOT NULL'])} "
            f"{f'AND n IN (SELECT n FROM ({having}))' if values else ''} ORDER BY {sorts} {way}",
            [*bindings, *values],
        )

    def _having(self) -> tuple[str, list[object]]:
        """Rows with the values that are asked for, and all that are not packed; in the order of numbers, past the
        cursor."""
        name, past, start, starts = self._table.name, self._past, "", list[object]()
        if past is not None and self._query.order_by is None:
            start = f" AND n <= (SELECT min(n) FROM {name} WHERE n >= ?)" if self._query.descending else " AND n > ?"
            starts = [past.n]
        valued = [each for each in self._conditions if each.test is Test.EQUAL and self._table.is_valued(each.field)]
        if not valued:
            return f"SELECT n, NULL FROM {name} WHERE TRUE{start}", starts
        part = f"SELECT n, NULL FROM {name}_value WHERE field = ? AND value = ?{start}"
        values = [(self._table.number(test.field), key_of(test.value), *starts) for test in valued]
        return (
            f"{' INTERSECT '.join([part] * len(valued))} UNION SELECT n, NULL FROM {name} WHERE NOT is_packed{start}",
            [*chain.from_iterable(values), *starts],
        )

    def _spans(self) -> tuple[list[str], list[object]]:
        """What must be true of the least and the most that a row has of fields that sort."""
        found = [
            (_BOUNDS[test].format(field), value)
            for field, test, value in self._conditions
            if field in self._table.kind.sorted_by and test in _BOUNDS
        ]
        order_by, past = self._query.order_by, self._past
        if order_by is not None and past is not None:
            test = Test.BEFORE if self._query.descending else Test.FROM
            found.append((_REACHES[test].format(order_by), past.value))
        return [condition for condition, _ in found], [value for _, value in found]


def _test(condition: Condition) -> Callable[[object], bool]:
    """Whether a value meets it, as SQLite would say."""
    _, test, wanted = condition
    sought = _comparable(wanted)
    match test:
        case Test.ABSENT:
            return lambda value: value is None
        case Test.PRESENT:
            return lambda value: value is not None
        case Test.EQUAL:
            return lambda value: value == wanted
        case Test.CONTAINS:
            return lambda value: isinstance(value, str) and str(wanted) in value
        case Test.FROM:
            return lambda value: value is not None and _comparable(value) >= sought
        case Test.BEFORE:
            return lambda value: value is not None and _comparable(value) < sought


def _comparable(value: object) -> tuple[bool, IndexValue]:
    """Numbers come before text, as in SQLite."""
    return isinstance(value, str), value  # type: ignore[return-value] # index values


def _place(ranked: _Ranked) -> tuple[tuple[bool, IndexValue], int]:
    return ranked[:2]
