"""What an order makes PostgreSQL write to its log in the distributed shape: bytes and records, table by table.

    python -m benchmarks.wal --orders 2000

Complete orders over 64 connections, each with a key, at `cludale up --distributed`; `pg_waldump` reads the log then.
Beside it what the server itself counts: commits, syncs, and whole pages, which it writes once after each checkpoint.
"""

import argparse
import asyncio
import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg
from rich.console import Console

from benchmarks.distributed import WARM_UP, orders
from benchmarks.onsale import show
from benchmarks.shapes import Distributed
from cludale_operations.local.find import find

CONNECTIONS = 64
_RECORD: Final = re.compile(r"rmgr: (?P<by>\S+) +len \(rec/tot\): +\d+/ +(?P<bytes>\d+),.*? desc: (?P<what>\S+)")
_RELATION: Final = re.compile(r"rel \d+/\d+/(\d+)")
_TABLES: Final = """
    SELECT pg_relation_filenode(c.oid) AS file, n.nspname AS schema, t.relname AS table
    FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
      LEFT JOIN pg_class AS o ON o.reltoastrelid = coalesce(i.indrelid, c.oid)
      JOIN pg_class AS t ON t.oid = coalesce(o.oid, i.indrelid, c.oid) JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE pg_relation_filenode(c.oid) IS NOT NULL
"""
"""Which table each file belongs to: those of indexes, and of values that are kept apart, too."""
_COUNTED: Final = """
    SELECT pg_current_wal_insert_lsn()::text AS at, wal_sync AS syncs, wal_fpi AS pages,
      (SELECT sum(xact_commit)::bigint FROM pg_stat_database) AS transactions
    FROM pg_stat_wal
"""


class Written(NamedTuple):
    """What was written of one table, indexes with it."""

    records: int = 0
    bytes: int = 0
    index_records: int = 0

    def and_one(self, size: int, *, of_index: bool) -> "Written":
        """With one record more."""
        return Written(self.records + 1, self.bytes + size, self.index_records + of_index)


def tally(lines: Iterable[str], tables: Mapping[int, str]) -> dict[str, Written]:
    """What pg_waldump's lines come to, by table; `tables` names what each file belongs to. Commits are a part, too."""
    found: dict[str, Written] = {}
    for line in lines:
        record = _RECORD.search(line)
        if record is None:
            continue
        relation = _RELATION.search(line)
        name = record["by"].lower() if relation is None else tables.get(int(relation[1]), "of PostgreSQL")
        found[name] = found.get(name, Written()).and_one(int(record["bytes"]), of_index=record["by"] == "Btree")
    return found


async def _asked(url: str, sql: str) -> list[Any]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wal", description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=2_000)
    count = parser.parse_args().orders
    console = Console()
    with Distributed() as server:
        orders(server, count=WARM_UP, connections=16)
        url = json.loads((server.data / "up.json").read_bytes())["databaseUrl"]
        (before,) = asyncio.run(_asked(url, _COUNTED))
        orders(server, count=count, connections=CONNECTIONS)
        (after,) = asyncio.run(_asked(url, _COUNTED))
        tables = {
            each["file"]: f"{each['schema']}.{each['table']}"
            if not each["schema"].startswith("pg_")
            else "of PostgreSQL"
            for each in asyncio.run(_asked(url, _TABLES))
        }
        (log,) = server.data.rglob("pg_wal")
        lines = _dumped(log, before["at"], after["at"])
    found = sorted(tally(lines, tables).items(), key=lambda each: -each[1].bytes)
    total = Written(*map(sum, zip(*(each for _, each in found), strict=True)))
    rows = [["an order", "bytes", "records", "of indexes"]]
    rows += [
        [name, f"{each.bytes / count:,.0f}", f"{each.records / count:.2f}", f"{each.index_records / count:.2f}"]
        for name, each in [*found, ("all", total)]
        if each.bytes >= count
    ]
    show(rows, f"PostgreSQL's log, {count} orders", console)
    each = {name: (after[name] - before[name]) / count for name in ("transactions", "syncs", "pages")}
    console.print(", ".join(f"{figure:.3f} {name}" for name, figure in each.items()) + " an order")


def _dumped(log: Path, since: str, until: str) -> list[str]:
    program = find("postgres").with_name("pg_waldump")
    done = subprocess.run(
        [program, "--path", log, "--start", since, "--end", until],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout.splitlines()


if __name__ == "__main__":
    main()
