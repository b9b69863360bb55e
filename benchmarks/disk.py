"""What an order takes on disk: bytes, rows and entries of indexes, table by table.

    python -m benchmarks.disk --orders 3000
    python -m benchmarks.disk --orders 3000 --of .cache/e35b6a25

Complete orders over 64 connections, each with a key (`--without-keys`: without) at a real server, which is stopped
then; what it wrote before is taken off. `--of` measures the server of another checkout.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import apsw
from rich.console import Console

from benchmarks import measure
from benchmarks.checkout import Checkout
from benchmarks.onsale import show
from benchmarks.server import Server

WARM_UP = 500
CONNECTIONS = 64
_PAGES = """
    SELECT name, sum(pgsize), sum(unused), sum(CASE pagetype WHEN 'leaf' THEN ncell ELSE 0 END)
    FROM dbstat GROUP BY name
"""


class Part(NamedTuple):
    """A table or an index."""

    table: str
    is_index: bool
    size: int
    unused: int
    """Bytes of its pages that nothing is in."""
    entries: int


def parts(store: Path) -> Mapping[str, Part]:
    """What the file has, by name."""
    connection = apsw.Connection(str(store), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        kinds = {name: (table, kind) for name, table, kind in connection.execute(
            "SELECT name, tbl_name, type FROM sqlite_schema"
        )}  # fmt: skip
        return {
            name: Part(kinds[name][0], kinds[name][1] == "index", size, unused, entries)
            for name, size, unused, entries in connection.execute(_PAGES)
            if name in kinds
        }
    finally:
        connection.close()


def grown(before: Mapping[str, Part], after: Mapping[str, Part], count: int) -> list[list[str]]:
    """By how much each table grew for each of so many orders, indexes with it, the largest first; and all of them."""
    nothing = Part("", is_index=False, size=0, unused=0, entries=0)
    tables: dict[str, list[float]] = {}
    for name, part in after.items():
        was = before.get(name, nothing)
        sums = tables.setdefault(part.table, [0.0] * 4)
        sums[0] += (part.size - was.size) / count
        sums[1] += (part.unused - was.unused) / count
        sums[3 if part.is_index else 2] += (part.entries - was.entries) / count
    listed = sorted(tables.items(), key=lambda each: -each[1][0])
    total = [sum(column) for column in zip(*tables.values(), strict=True)]
    return [
        [name, f"{size:,.0f}", f"{unused:,.0f}", f"{rows:.2f}", f"{entries:.2f}"]
        for name, (size, unused, rows, entries) in [*listed, ("all", total)]
        if size >= 1
    ]


def main() -> None:
    """Fill, stop, look."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=3_000)
    parser.add_argument("--without-keys", action="store_true")
    parser.add_argument("--of", type=Path, help="the server of this checkout")
    asked = parser.parse_args()
    checkout = Checkout.here() if asked.of is None else Checkout.at(asked.of)
    with Server(checkout) as server:
        store = server.data / "cludale.db"
        measure.orders(server, count=WARM_UP, connections=CONNECTIONS)
        server.stop()
        before, size = parts(store), server.data_bytes()
        server.start()
        with_keys = not asked.without_keys
        count = measure.orders(server, count=asked.orders, connections=CONNECTIONS, with_keys=with_keys).succeeded
        server.stop()
        rows = grown(before, parts(store), count)
        size = server.data_bytes() - size
    heads = ["an order", "bytes", "of them unused", "rows", "entries of indexes"]
    show([heads, *rows], f"The data folder grew by {size / count:,.0f} bytes for each of {count:,} orders", Console())


if __name__ == "__main__":
    main()
