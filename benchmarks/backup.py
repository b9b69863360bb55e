"""A backup of many orders: made beside buyers who come all the time, read back, restored, checked and replayed.

    python -m benchmarks.backup --orders 250000 1000000
    python -m benchmarks.backup --orders 100000 --postgres
    python -m benchmarks.backup --orders 20000 --erased 1000

Some orders have an address; after the copy their buyer is erased, and the restore has to erase them again, by the store
in use.

With several numbers the same store is filled up from one to the next.

Seconds and memory are of the commands that an operator types, each a process of its own; memory is the most that one
process of them had resident. What buyers got while the copy was made stands beside what they got just before it.
"""

import argparse
import os
import shutil
import subprocess
import sys
from asyncio import run as run_async
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks import generator, machine, measure
from benchmarks.generator import Orders, Report
from benchmarks.onsale import show, write
from benchmarks.server import Server, Wrong
from cludale_operations.local.postgres import Postgres

_CONNECTIONS = 64
_BESIDE_CONNECTIONS = 8
_BEFORE = 2_000
_BUYER = "erased@example.org"


class OverPostgres(Server):
    """One process over a PostgreSQL server of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.postgres = Postgres(self.data / "postgres")

    def start(self) -> float:
        """Start both and wait until they are ready."""
        if self.postgres.pid is None:
            run_async(self.postgres.start())
        os.environ["CLUDALE_DATABASE_URL"] = self.postgres.url
        try:
            return super().start()
        finally:
            del os.environ["CLUDALE_DATABASE_URL"]

    def _clean_up(self) -> None:
        if self.postgres.pid is not None:
            run_async(self.postgres.stop())
        super()._clean_up()


class Ran(msgspec.Struct, frozen=True, rename="camel"):
    """One command: what was typed, how long it took, and the most memory that a process of it had."""

    command: str
    seconds: float
    memory_mib: float
    said: Any


class Buyers(msgspec.Struct, frozen=True, rename="camel"):
    """What buyers got for some time: complete answers a second, and the times of an answer."""

    orders: int
    others: dict[str, int]
    per_second: float
    p50_ms: float | None
    p99_ms: float | None
    largest_ms: float | None

    @classmethod
    def of(cls, report: Report) -> "Buyers":
        """What a load came to."""
        seconds = report.ended - report.began
        rate = round(report.succeeded / seconds, 1)
        return cls(report.succeeded, report.others, rate, report.p50_ms, report.p99_ms, report.largest_ms)


class Measured(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All that was measured."""

    orders: int
    shape: str
    store_mib: float
    backup_mib: float
    buyers_before: Buyers
    buyers_beside: Buyers
    """While the copy was made."""
    server_memory_mib: float
    steps: list[Ran]
    erased: int = 0
    """Orders whose buyer was erased after the copy, and again with its restore."""


class _Place(NamedTuple):
    """Where things go, and what names the store in the environment of a command."""

    folder: Path
    identity: Path
    file: Path
    there: Mapping[str, str]
    back: Mapping[str, str]


def cludale(*words: str | Path, place: _Place, environment: Mapping[str, str], statuses: tuple[int, ...] = (0,)) -> Ran:
    """Run a command of `cludale`, with the folder's own paths shortened in what is kept of it."""
    began = perf_counter()
    command = [sys.executable, "-m", "cludale_operations", *map(str, words)]
    output, errors = place.folder / "output", place.folder / "errors"
    with output.open("w") as out, errors.open("w") as err:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = perf_counter() - began
    text = output.read_text()
    shown = (word.name if isinstance(word, Path) else "age1…" if word.startswith("age1") else word for word in words)
    typed = " ".join(["cludale", *shown])
    if process.returncode not in statuses:
        raise Wrong(f"{typed}: {process.returncode}\n{text}{errors.read_text()}")
    said = msgspec.json.decode(text) if text.startswith("{") else text.strip()
    return Ran(typed, round(seconds, 1), round(usage.ru_maxrss / 1024, 1), _without(said, place))


def _without(said: Any, place: _Place) -> Any:
    """What a command said, without the folders of this machine."""
    if isinstance(said, dict):
        return {name: _without(value, place) for name, value in said.items()}
    return said.replace(f"{place.folder}/", "") if isinstance(said, str) else said


def fill(server: Server, count: int, progress: Progress) -> None:
    """So many orders, all paid."""
    bar = progress.add_task("orders", total=count)
    concert_id = server.put_on_concert(count)
    published = server.metrics()["cludale_events_published_total"]
    task = Orders(url=server.url, count=count, connections=_CONNECTIONS, concert_id=concert_id)
    report = generator.run(task, watch=lambda answered: progress.update(bar, completed=answered))
    measure.quiet(server, published=published + server.EVENTS_AN_ORDER * report.succeeded)
    if report.succeeded != count:
        raise Wrong(f"{report.succeeded} of {count} orders, and {report.others}")
    progress.update(bar, completed=count)


def buyers(server: Server, count: int, connections: int = _BESIDE_CONNECTIONS) -> Buyers:
    """What so many orders got."""
    task = Orders(url=server.url, count=count, connections=connections, concert_id=server.put_on_concert(count))
    return Buyers.of(generator.run(task))


def known(server: Server, count: int) -> None:
    """So many orders of one buyer, with their address and name."""
    concert_id = server.put_on_concert(max(1, count))
    for number in range(count):
        wanted = {"concertId": concert_id, "userId": f"erased-{number}", "quantity": 1, "email": _BUYER, "name": "Ada"}
        server.post("/orders", wanted)


def beside(server: Server, place: _Place, recipient: str) -> tuple[Ran, Buyers]:
    """Make a backup while buyers come, from before it begins until after it ends."""
    environment = dict(place.there)
    words = ("backup", "create", place.file, "--recipient", recipient, "--json")
    reports: list[Buyers] = []
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(cludale, *words, place=place, environment=environment)
        while not making.done():
            reports.append(buyers(server, _BEFORE))
        made = making.result()
    rates = [each.per_second for each in reports]
    tails = [each.p99_ms for each in reports if each.p99_ms is not None]
    middles = sorted(each.p50_ms for each in reports if each.p50_ms is not None)
    others: dict[str, int] = {}
    for each in reports:
        for name, number in each.others.items():
            others[name] = others.get(name, 0) + number
    found = Buyers(
        sum(each.orders for each in reports),
        others,
        round(len(rates) / sum(1 / rate for rate in rates), 1),
        middles[len(middles) // 2],
        max(tails),
        max(each.largest_ms or 0.0 for each in reports),
    )
    return made, found


def measured(server: Server, count: int, erased: int, folder: Path, console: Console) -> Measured:
    """Make a backup of so many orders, and bring it back. The server is stopped. Raises Wrong if anything fails."""
    back = folder / "back"
    postgres = server.postgres if isinstance(server, OverPostgres) else None
    there, target = {"CLUDALE_DATA_DIR": str(server.data)}, {"CLUDALE_DATA_DIR": str(back)}
    if postgres is not None:
        there["CLUDALE_DATABASE_URL"], target["CLUDALE_DATABASE_URL"] = postgres.url, _another(postgres)
    place = _Place(folder, folder / "backup.key", folder / "cludale.backup", there, target)
    recipient = str(cludale("backup", "key", place.identity, place=place, environment={}).said)
    known(server, erased)
    before = buyers(server, _BEFORE)
    steps = []

    def ran(step: Ran) -> None:
        steps.append(step)
        console.print(f"{step.command}: {step.seconds} s, {step.memory_mib:.0f} MiB")

    made, meanwhile = beside(server, place, recipient)
    ran(made)
    console.print(f"buyers: {before.per_second}/s before, {meanwhile.per_second}/s meanwhile, {meanwhile.others}")
    size, memory = server.data_mib(), server.memory_mib()[1]
    identity = ("--identity", place.identity)
    if erased:
        at = {**place.there, "CLUDALE_URL": server.url, "CLUDALE_ORGANIZER_KEY": server.key}
        gone = cludale("privacy", "erase", "--email", _BUYER, "--json", place=place, environment=at)
        ran(msgspec.structs.replace(gone, said=None))
    # what an operator does next needs no server, and the machine has few cores
    server.stop()
    ran(cludale("backup", "check", place.file, *identity, "--json", place=place, environment={}))
    former = place.there.get("CLUDALE_DATABASE_URL", server.data)
    words = ("backup", "restore", place.file, *identity, "--into", back, "--former", former, "--json")
    came = cludale(*words, place=place, environment=dict(target))
    ran(came)
    if (came.said["log"], came.said["check"]) != ("whole", "every promise holds"):
        raise Wrong(str(came.said))
    if not came.said["erasures"].startswith(f"{erased} buyers erased again;"):
        raise Wrong(str(came.said))
    ran(cludale("check", "--json", place=place, environment=dict(target)))
    replayed = cludale("audit", "replay", "--json", place=place, environment=dict(target), statuses=(0, 1))
    differences = replayed.said.pop("differences")
    # what was in the outbox at that instant is not in the log yet
    ran(msgspec.structs.replace(replayed, said={**replayed.said, "differences": len(differences)}))
    return Measured(
        orders=count,
        shape="embedded" if postgres is None else "one process over PostgreSQL",
        store_mib=round(size, 1),
        backup_mib=round(place.file.stat().st_size / 2**20, 1),
        buyers_before=before,
        buyers_beside=meanwhile,
        server_memory_mib=round(memory, 1),
        steps=steps,
        erased=erased,
    )


def _another(postgres: Postgres) -> str:
    """A new, empty database beside the one in use; its address."""
    import asyncpg  # noqa: PLC0415 - only this shape needs it

    async def made() -> None:
        connection = await asyncpg.connect(postgres.url)
        try:
            await connection.execute("CREATE DATABASE back")
        finally:
            await connection.close()

    run_async(made())
    return postgres.url.rpartition("/")[0] + "/back"


def told(found: Measured, provenance: dict[str, Any], facts: dict[str, Any], console: Console) -> None:
    """Show and write it."""
    rows = [["", "seconds", "MiB of memory"]]
    rows += [[step.command, str(step.seconds), f"{step.memory_mib:.0f}"] for step in found.steps]
    rows += [
        ["store, MiB", f"{found.store_mib:,.0f}", ""],
        ["backup, MiB", f"{found.backup_mib:,.0f}", ""],
        ["buyers erased, and again after the restore", f"{found.erased:,}", ""],
        *(
            [f"orders a second {when}; p99 ms", str(of.per_second), str(of.p99_ms)]
            for when, of in (("before", found.buyers_before), ("while it was made", found.buyers_beside))
        ),
    ]
    show(rows, f"{found.orders:,} orders, {found.shape}", console)
    results = {"benchmark": "backup", "provenance": provenance, "machine": facts, "backup": found}
    path = write(results, rows, f"backup-{'postgres-' if 'PostgreSQL' in found.shape else ''}{found.orders}")
    console.print(f"written to {path.relative_to(machine.PROJECT)} and {path.with_suffix('.md').name}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backup", description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, nargs="+", default=[1_000_000], help="how many (1000000)")
    parser.add_argument("--erased", type=int, default=1_000, help="whose buyer is erased after the copy (1000)")
    parser.add_argument("--postgres", action="store_true", help="over PostgreSQL, not SQLite")
    options = parser.parse_args()
    console = Console()
    provenance, facts = machine.provenance("benchmarks.backup", sys.argv[1:]), machine.facts()
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    folder = machine.SCRATCH / ("backup-postgres" if options.postgres else "backup")
    with OverPostgres() if options.postgres else Server() as server:
        there = 0
        for number, count in enumerate(sorted(options.orders)):
            if number:
                server.start()
            with Progress(*columns, console=console) as bars:
                fill(server, count - there, bars)
            there = count
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            try:
                told(measured(server, count, options.erased, folder, console), provenance, facts, console)
            finally:
                shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
