"""Where a kind is kept whose records are written once: many a row, compressed. Statements, and what goes into them.

`n` numbers the records as they come, without gaps. A row has the records up to its `n`, so whatever row begins at or
after a record's number has it. The last few lie `loose`, as they came, until there are enough for a pack: each record
is compressed once. Beside the rows there is a number for each id, which keeps an id from being used twice; and for
packed rows, which values of the indexed fields are in which row. A field that sorts has its least and its most there.
"""
# ruff: noqa: S608 - names of tables and columns are checked by schema, values are always bound

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import apsw

from cludale.adapters.sqlite import packs
from cludale.adapters.sqlite.connection import StoreFailed
from cludale.adapters.sqlite.statements import MANY_NARROW_ROWS, Execute, insert, run, sized
from cludale.ports.records import Kind, SchemaRefused
from cludale.runtime.planning import Row, Rows

_BEFORE_VALUES = 3
"""A row begins with id, version and body."""


def key_of(value: object) -> object:
    """The key under which a value of an indexed field is looked up."""
    return packs.short(value) if isinstance(value, str) else value


class PackedTable:
    """The tables of such a kind."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.name = f"{kind.service}_{kind.name}"
        self.names = (self.name, f"{self.name}_id", f"{self.name}_value", f"{self.name}_before")
        bounds = [f'"{field}_{bound}"' for field in kind.sorted_by for bound in ("least", "most")]
        self._columns = ("n", "entries", "is_packed", "body", *bounds)
        self._sorted = [self.column(field) for field in kind.sorted_by]
        self._valued = [field for field in kind.indexed if field not in kind.sorted_by]
        self._insert = sized(lambda count: insert(self.name, self._columns, count))
        self._number_ids = sized(lambda count: insert(f"{self.name}_id", ("id", "n"), count), MANY_NARROW_ROWS)
        self._number_values = sized(
            lambda count: insert(f"{self.name}_value", ("field", "value", "n"), count), MANY_NARROW_ROWS
        )
        self._ids = sized(lambda count: f"SELECT id FROM {self.name}_id WHERE id IN ({','.join('?' * count)})")
        self._numbers = sized(lambda count: f"SELECT n FROM {self.name}_id WHERE id IN ({','.join('?' * count)})")
        self._end = (
            f"SELECT coalesce((SELECT max(n) FROM {self.name}), 0), "
            f"coalesce((SELECT sum(entries) FROM {self.name} WHERE NOT is_packed), 0)"
        )
        self._loose = f"SELECT n, body FROM {self.name} WHERE NOT is_packed ORDER BY n"
        self._forget_loose = f"DELETE FROM {self.name} WHERE NOT is_packed"
        self._row = f"SELECT n, is_packed, body FROM {self.name} WHERE n >= ? ORDER BY n LIMIT 1"

    def is_valued(self, field: str) -> bool:
        """Is it written down which rows have which value of this field?"""
        return field in self._valued

    def number(self, field: str) -> int:
        """What stands for an indexed field."""
        return self.kind.indexed.index(field)

    def column(self, field: str) -> int:
        """Where its value is in a row."""
        return _BEFORE_VALUES + self.number(field)

    def exists(self, connection: apsw.Connection) -> bool:
        """Is the table there? Raises SchemaRefused if it is there in another form."""
        there = [row[1] for row in connection.execute(f"PRAGMA table_info({self.name})")]
        if there and there != [column.strip('"') for column in self._columns]:
            raise SchemaRefused(
                f"{self.name} is stored in another form ({', '.join(there)}); "
                "a server of this version brings it up to date when it starts"
            )
        return bool(there)

    def create(self, connection: apsw.Connection) -> None:
        """Create the tables and their indexes."""
        bounds = "".join(f", {column}" for column in self._columns[4:])
        connection.execute(
            f"CREATE TABLE {self.name}(n INTEGER PRIMARY KEY, entries INTEGER NOT NULL, "
            f"is_packed INTEGER NOT NULL, body BLOB NOT NULL{bounds})"
        )
        connection.execute(f"CREATE INDEX {self.name}_loose ON {self.name}(n) WHERE NOT is_packed")
        for field in self.kind.sorted_by:
            connection.execute(f'CREATE INDEX "{self.name}_{field}" ON {self.name}("{field}_least", "{field}_most")')
        connection.execute(f"CREATE TABLE {self.name}_id(id PRIMARY KEY NOT NULL, n INTEGER NOT NULL) WITHOUT ROWID")
        connection.execute(
            f"CREATE TABLE {self.name}_value(field INTEGER NOT NULL, value NOT NULL, n INTEGER NOT NULL, "
            "PRIMARY KEY(field, value, n)) WITHOUT ROWID"
        )

    def differs(self, _: Execute, __: Rows) -> bool:
        """Never: no record is written twice."""
        return False

    def write(self, execute: Execute, rows: Rows) -> None:
        """Write these records, which are new."""
        self.add(execute, list(rows.fresh.values()))

    def add(self, execute: Execute, rows: Sequence[Row]) -> None:
        """The same for rows."""
        last, waiting = execute(self._end).get
        ids: list[object] = []
        for n, row in enumerate(rows, last + 1):
            ids += (packs.short(row[0]), n)
        run(execute, self._number_ids, ids, 2)
        if waiting + len(rows) < packs.LEAST:
            execute(self._insert[0], (last + len(rows), len(rows), False, packs.loose(rows), *self._bounds(rows)))
            return
        n = last - waiting
        if waiting:
            before = [packs.unpacked(*row, is_packed=False) for row in execute(self._loose)]
            rows = [*chain.from_iterable(before), *rows]
            execute(self._forget_loose)
        new: list[object] = []
        values: list[object] = []
        for stretch in packs.stretches(rows):
            n += len(stretch)
            new += (n, len(stretch), True, packs.packed(stretch), *self._bounds(stretch))
            for field in self._valued:
                number, column = self.number(field), self.column(field)
                for value in dict.fromkeys([row[column] for row in stretch]):
                    if value is not None:
                        values += (number, key_of(value), n)
        run(execute, self._insert, new, len(self._columns))
        run(execute, self._number_values, values, 3)

    def held(self, execute: Execute, ids: Iterable[str]) -> Iterator[tuple[str, int]]:
        """Those of the ids that exist, each with its version, which is 1."""
        shorts = {packs.short(id): id for id in ids}
        for (found,) in run(execute, self._ids, list(shorts), 1):
            yield shorts[found], 1

    def get(self, execute: Execute, ids: Sequence[str]) -> Iterator[Row]:
        """Those of the records that exist. Raises StoreFailed."""
        wanted = set(ids)
        last = 0
        for (n,) in sorted(run(execute, self._numbers, [packs.short(id) for id in ids], 1)):
            if n > last:
                last, rows = self.row(execute, n)
                yield from (row for row in rows if row[0] in wanted)

    def row(self, execute: Execute, n: int) -> tuple[int, list[Row]]:
        """The row that has the record `n`: the number of its last one, and all of them. Raises StoreFailed."""
        found = execute(self._row, (n,)).get
        if found is None:
            raise StoreFailed(f"{self.name} ends before record {n}")
        last, is_packed, body = found
        return last, packs.unpacked(last, body, is_packed=bool(is_packed))

    def _bounds(self, rows: Sequence[Row]) -> Iterator[object]:
        for column in self._sorted:
            values = [row[column] for row in rows if row[column] is not None]
            yield min(values, default=None)  # index values of one field are of one type
            yield max(values, default=None)
