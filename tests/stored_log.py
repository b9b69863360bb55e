"""The audit log as SQLite has it, to be read or spoilt behind a store's back: entries share rows, packed or not."""

import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from cludale.adapters.sqlite import packs

ID, BODY, TYPE = 0, 2, 3
"""Where they are in an entry."""

Entry = list[Any]


def entries(store: sqlite3.Connection) -> list[Entry]:
    """All of them, in order."""
    rows = store.execute("SELECT n, is_packed, body FROM audit_event ORDER BY n")
    return [list(entry) for n, is_packed, body in rows for entry in packs.unpacked(n, body, is_packed=bool(is_packed))]


def entries_in(path: Path) -> list[Entry]:
    """The same of a file, which a server may have open."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as store:
        return entries(store)


def packs_in(path: Path) -> Iterator[bytes]:
    """What is packed in a file, table by table, as it was before that."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as store:
        tables = store.execute(
            "SELECT s.name FROM sqlite_schema s JOIN pragma_table_info(s.name) c WHERE c.name = 'is_packed'"
        ).fetchall()
        for (table,) in tables:
            for (body,) in store.execute(f"SELECT body FROM {table} WHERE is_packed"):
                yield zlib.decompress(body)


def spoil(store: sqlite3.Connection, change: Callable[[list[Entry]], object]) -> None:
    """Have them changed in place by `change`. Fails if it changes nothing."""
    before = entries(store)
    after = [list(entry) for entry in before]
    change(after)
    assert after != before
    ((n,),) = store.execute("SELECT max(n) FROM audit_event").fetchall()
    store.execute("DELETE FROM audit_event")
    body = packs.packed([tuple(entry) for entry in after])
    store.execute("INSERT INTO audit_event(n, entries, is_packed, body) VALUES (?, ?, 1, ?)", (n, len(after), body))


def replacing(old: str, new: str, *, id: str | None = None) -> Callable[[list[Entry]], None]:
    """Put `new` for `old` in the bodies of all, or of one."""

    def change(found: list[Entry]) -> None:
        for entry in found:
            if id is None or entry[ID] == id:
                entry[BODY] = entry[BODY].replace(old.encode(), new.encode())

    return change
