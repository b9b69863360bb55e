"""asyncpg or psycopg 3: what the client spends on a batch of commits, and on reading records by id.

    python -m benchmarks.drivers --driver asyncpg --driver psycopg --commits 10 --commits 100

Both make the very same calls on the same server: the `write` function with its arrays (adapters/postgres), a third
of the commits making a record, the others changing one and noting a delivery, an event each; and the lookup of as many
records. psycopg is no dependency of the project: install `psycopg[binary]` into a virtual environment of your own.
CPU is that of this process's thread, server CPU that of the process that serves the connection; the time of a call
holds the server's work and one sync of its log.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time
from typing import Any

import asyncpg
import uvloop

from benchmarks.machine import SCRATCH, facts, provenance
from benchmarks.records import BODY, CODEC, KINDS, ORDER, PAYMENT, fact
from cludale.adapters.postgres import PostgresStore
from cludale.adapters.postgres.connection import BY_KEY
from cludale.adapters.postgres.replica import Register
from cludale.adapters.postgres.schema import Function, tables_of
from cludale.ports.records import Commit, Put
from cludale.runtime.planning import Planner
from cludale_operations.local.postgres import Postgres

LEASE = 3_600.0
Call = Callable[[Sequence[Any]], Awaitable[Any]]
Look = Callable[[list[str]], Awaitable[Sequence[Any]]]


def commits(batch: int, size: int) -> list[Commit]:
    """What one batch holds: records are made in one batch and changed in the next two."""
    made = []
    for n in range(size // 3 or 1):
        name = f"{batch:016x}{n:016x}"
        made.append(Commit("p", (Put(ORDER, f"order-{name}", BODY, 0, ("concert-1", "Pending")),), (fact(name, 1),)))
    for age in (1, 2):
        for n in range(size // 3 if batch >= age else 0):
            name = f"{batch - age:016x}{n:016x}"
            put = Put(ORDER, f"order-{name}", BODY, age, ("concert-1", "Paid"))
            made.append(Commit("p", (put,), (fact(name, age + 1),)))
    name = f"{batch:032x}"
    made.append(Commit("p", (Put(PAYMENT, f"payment-{name}", BODY, 0, (name, None)),), (fact(name, 4),)))
    return made


async def through_asyncpg(url: str, write: str, read: str) -> tuple[Call, Look, int]:
    """A call of the function, a lookup, and the server's process."""
    connection = await asyncpg.connect(url, statement_cache_size=100)
    for name, value in BY_KEY.items():
        await connection.execute(f"SET {name} = {value}")

    async def call(arguments: Sequence[Any]) -> Any:
        return await connection.fetchval(write, *arguments)

    async def look(ids: list[str]) -> Sequence[Any]:
        found: Sequence[Any] = await connection.fetch(read, ids)
        return found

    return call, look, connection.get_server_pid()


async def through_psycopg(url: str, write: str, read: str) -> tuple[Call, Look, int]:
    """The same with psycopg's binary formats and prepared statements."""
    import psycopg  # type: ignore[import-not-found, unused-ignore] # noqa: PLC0415 - no dependency of the project

    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    for name, value in BY_KEY.items():
        await connection.execute(f"SET {name} = {value}")
    types = ("int", "bigint", "bigint", "float8", "bigint[]", "text[]", "int[]", "int[]", "bytea[]", "bigint[]",
             "int[]", "text[]", "bigint[]", "bigint[]", "bytea[]")  # fmt: skip
    count = write.count("$")
    placed = ", ".join(f"%b::{types[at] if at < len(types) else 'text[]'}" for at in range(count))
    function = f"{write.partition('(')[0]}({placed})"
    lookup = read.replace("$1", "%b::text[]")

    async def call(arguments: Sequence[Any]) -> Any:
        async with connection.cursor(binary=True) as cursor:
            await cursor.execute(function, arguments, prepare=True)
            row = await cursor.fetchone()
            return row[0]

    async def look(ids: list[str]) -> Sequence[Any]:
        async with connection.cursor(binary=True) as cursor:
            await cursor.execute(lookup, (ids,), prepare=True)
            found: Sequence[Any] = await cursor.fetchall()
            return found

    return call, look, connection.info.backend_pid


def used(pid: int) -> float:
    """CPU seconds of the server's process for a connection."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


DRIVERS = {"asyncpg": through_asyncpg, "psycopg": through_psycopg}


async def measured(url: str, driver: str, size: int, batches: int, schema: str) -> dict[str, float]:
    """CPU and time of a batch and of a lookup, in microseconds."""
    store = await PostgresStore.open(url, KINDS, CODEC, schema=schema)  # makes tables and function
    tables = tables_of(KINDS, schema)
    function, planner = Function(schema, tables.values()), Planner(KINDS, CODEC)
    connection = await asyncpg.connect(url)
    place = await Register(schema).enter(connection)
    await connection.close()
    calls: list[list[Any]] = []
    position = 0
    for batch in range(batches):
        plan = planner.hopeful(commits(batch, size), position)
        if plan is None:
            raise AssertionError("the benchmark's own commits conflict")
        gone = [position] if batch else []  # the row of the batch before
        position = plan.entries[-1].position
        calls.append([place.owner, place.epoch, batch + 1, LEASE, *function.arguments(plan, gone)])
    call, look, pid = await DRIVERS[driver](url, function.call, tables[ORDER].read)
    warm = batches // 5
    for arguments in calls[:warm]:
        if await call(arguments) != 0:
            raise AssertionError("not committed")
    served, cpu, wall = used(pid), thread_time(), perf_counter()
    for arguments in calls[warm:]:
        if await call(arguments) != 0:
            raise AssertionError("not committed")
    served, cpu, wall = used(pid) - served, thread_time() - cpu, perf_counter() - wall
    ids = [f"order-{batch:016x}{0:016x}" for batch in range(min(size, batches))]
    await look(ids)
    look_cpu, look_wall = thread_time(), perf_counter()
    for _ in range(batches):
        if len(await look(ids)) != len(ids):
            raise AssertionError("not found")
    look_cpu, look_wall = thread_time() - look_cpu, perf_counter() - look_wall
    await store.close()
    rest = batches - warm
    return {
        "write CPU": cpu / rest * 1e6,
        "write": wall / rest * 1e6,
        "server CPU": served / rest * 1e6,
        f"read {len(ids)} CPU": look_cpu / batches * 1e6,
        f"read {len(ids)}": look_wall / batches * 1e6,
    }


async def main(arguments: argparse.Namespace, folder: Path) -> None:
    """All drivers and sizes, in turns."""
    async with Postgres(folder).running() as server:
        number = 0
        for size in arguments.commits:
            runs: dict[str, list[dict[str, float]]] = {driver: [] for driver in arguments.driver}
            for _ in range(arguments.runs):
                for driver in arguments.driver:
                    number += 1
                    runs[driver].append(await measured(server.url, driver, size, arguments.batches, f"run{number}"))
            for driver, each in runs.items():
                figures = {name: median(run[name] for run in each) for name in each[0]}
                print(f"{size:4} commits  {driver:8}", "  ".join(f"{name} {us:.0f} us" for name, us in figures.items()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", action="append", choices=DRIVERS)
    parser.add_argument("--commits", action="append", type=int)
    parser.add_argument("--batches", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    chosen.driver = chosen.driver or ["asyncpg"]
    chosen.commits = chosen.commits or [10, 100]
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=SCRATCH) as name,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(main(chosen, Path(name)))
    print(json.dumps(facts() | provenance("benchmarks.drivers", sys.argv[1:])))
