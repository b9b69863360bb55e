"""What a store takes on disk is told table by table, indexes with it."""

from pathlib import Path

import apsw
from benchmarks.disk import Part, grown, parts


def test_each_table_and_index_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "cludale.db"
    store = apsw.Connection(str(path))
    store.execute("CREATE TABLE things(id INTEGER PRIMARY KEY, name TEXT); CREATE INDEX named ON things(name)")
    for n in range(1_000):
        store.execute("INSERT INTO things(name) VALUES (?)", (f"name {n}",))
    store.close()
    found = parts(path)
    assert {name: (part.table, part.is_index, part.entries) for name, part in found.items()} == {
        "things": ("things", False, 1_000),
        "named": ("things", True, found["named"].entries),
    }
    assert sum(part.size for part in found.values()) == path.stat().st_size - found_elsewhere(path)


def found_elsewhere(path: Path) -> int:
    """The page that lists the tables."""
    store = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    size = int(store.pragma("page_size"))
    store.close()
    return size


def test_what_was_there_before_does_not_count() -> None:
    before = {"things": Part("things", is_index=False, size=8_192, unused=192, entries=10)}
    after = {
        "things": Part("things", is_index=False, size=16_384, unused=392, entries=30),
        "named": Part("things", is_index=True, size=8_192, unused=0, entries=40),
        "same": Part("same", is_index=False, size=0, unused=0, entries=0),
    }
    assert grown(before, after, 10) == [
        ["things", "1,638", "20", "2.00", "4.00"],
        ["all", "1,638", "20", "2.00", "4.00"],
    ]
