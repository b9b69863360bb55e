"""What storing complete orders costs, without HTTP, decisions or delivery: commits/s, and CPU of which thread.

    python -m benchmarks.records --orders 20000 --in-flight 128 --work 100
    python -m benchmarks.records --orders 20000 --in-flight 128 --postgres

An order is what the services store for one: 4 records made, 3 changed, 7 events into the outbox, out of it and
into the audit, in 7 steps; a section that all orders share is changed once a group and step.
The first step is one call an order, as requests are; later ones a call a group, as deliveries are. `--work` keeps
the main thread busy for so many microseconds an order besides, as everything else does in a server: a writer thread
has to get the interpreter lock from it. With `--postgres` the store is a schema of a server that is started here; what
its processes use is another figure. A run against a store that does nothing is subtracted from the CPU figures.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

from benchmarks.machine import SCRATCH, facts, provenance
from cludale.adapters.postgres import PostgresStore
from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.events import Catalogue, Cause, Envelope, Event, Topic, envelop
from cludale.kernel.wire import Codec
from cludale.ports.outbox import Outgoing
from cludale.ports.records import COMMITTED, Commit, Key, Kind, Outcome, Put
from cludale_operations.local.postgres import Postgres

ORDER = Kind("orders", "order", ("concertId", "status"))
RESERVATION = Kind("concerts", "reservation", ("dueAt",))
SECTION = Kind("concerts", "section", ("concertId",))
PAYMENT = Kind("payments", "payment", ("orderId", "dueAt"))
NOTIFICATION = Kind("notifications", "notification", ("orderId",))
ENTRY = Kind("audit", "entry", ("type", "orderId", "concertId", "at"))
KINDS = (ORDER, RESERVATION, SECTION, PAYMENT, NOTIFICATION, ENTRY)

BODY = (
    b'{"id":"order-0199aaaaaaaa7aaaaaaaaaaaaaaaaaaa","concertId":"concert-1","section":"main","userId":"user-123",'
    b'"quantity":2,"status":"Reserved","total":{"amount":9000,"currency":"EUR"},'
    b'"createdAt":"2026-11-22T10:00:00.000000Z","expiresAt":"2026-11-22T10:10:00Z","reservationId":"reservation-01"}'
)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Fact(Event, frozen=True):
    """Data of about the size that our events have."""

    order_id: str
    concert_id: str
    section: str
    user_id: str
    quantity: int
    amount: int
    expires_at: str


class Placed(Fact, frozen=True):
    """The first of seven."""


CODEC = Codec(Catalogue([Topic("order-events", "orders", (Fact, Placed))]))


def fact(name: str, step: int) -> Envelope:
    """What happened to the order in this step."""
    data = Fact(
        order_id=f"order-{name}",
        concert_id="concert-1",
        section="main",
        user_id="user-123",
        quantity=2,
        amount=9000,
        expires_at="2026-11-22T10:10:00Z",
    )
    cause = Cause(f"event-{step - 1}{name}", TRACE)
    return envelop(data, id=f"event-{step}{name}", source="orders", time=datetime.now(UTC), cause=cause)


class Nothing:
    """A store that keeps nothing, to know what the benchmark itself costs."""

    def __init__(self) -> None:
        self._position = 0
        self._listener: Callable[[Sequence[Outgoing]], None] = lambda _: None

    def listen(self, listener: Callable[[Sequence[Outgoing]], None]) -> None:
        """As Outbox."""
        self._listener = listener

    def delivered(self, _: Sequence[int]) -> None:
        """As Outbox."""

    async def get(self, _: Kind, keys: Sequence[Key]) -> dict[str, Any]:
        """Finds whatever is asked for."""
        return dict.fromkeys((key.id for key in keys), None)

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        """All is well."""
        await asyncio.sleep(0)
        entries = []
        for commit in commits:
            for _ in commit.events:
                self._position += 1
                entries.append(Outgoing(self._position, "order-events", BODY + BODY))
        if entries:
            self._listener(entries)
        return [COMMITTED] * len(commits)

    async def start(self) -> None:
        """As a store."""

    async def close(self) -> None:
        """As a store."""


class Load:
    """Drives orders through a store."""

    def __init__(self, store: Any, *, work_microseconds: float, reads: bool) -> None:
        self._store = store
        self._work = work_microseconds * 1e-6 / 7
        self._reads = reads
        self._entries: list[Outgoing] = []
        self._audit: asyncio.Task[None] | None = None
        self._sequence = itertools.count()
        self.calls = 0
        self.commits = 0
        self.latencies: list[float] = []
        store.listen(self._heard)

    def _heard(self, entries: Sequence[Outgoing]) -> None:
        self._entries += entries
        if self._audit is None:
            self._audit = asyncio.get_running_loop().create_task(self._take())

    async def _take(self) -> None:
        while self._entries:
            taken, self._entries = self._entries, []
            await self._commit(
                [
                    Commit(
                        "audit",
                        [
                            Put(
                                ENTRY,
                                f"event-{entry.position:032x}",
                                entry.body,
                                0,
                                ("Fact", f"order-{entry.position // 7:032x}", "concert-1", "2026-11-22T10:00:00.0Z"),
                            )
                            for entry in taken
                        ],
                    )
                ]
            )
            self._store.delivered([entry.position for entry in taken])
        self._audit = None

    async def _commit(self, commits: Sequence[Commit]) -> None:
        self.calls += 1
        self.commits += len(commits)
        started = time.perf_counter()
        outcomes = await self._store.commit(commits)
        self.latencies.append(time.perf_counter() - started)
        if any(outcome is not COMMITTED for outcome in outcomes):
            raise AssertionError(f"not committed: {outcomes}")

    async def _read(self, kind: Kind, ids: Sequence[str]) -> None:
        if self._reads:
            found = await self._store.get(kind, [Key("p", name) for name in ids])
            if len(found) != len(ids):
                raise AssertionError("a record is missing")

    def _busy(self, orders: int) -> None:
        until = time.thread_time() + self._work * orders
        while time.thread_time() < until:
            pass

    async def group(self, group: int, orders: int, mean: int) -> None:
        """Take `orders` through their steps, a random number of them (`mean` on average) at a time."""
        dice = random.Random(group)
        version = 0
        while orders:
            size = min(orders, dice.randint(1, 2 * mean - 1))
            orders -= size
            await self._together(f"section-{group}", version, size)
            version += 2

    async def _together(self, section: str, version: int, size: int) -> None:
        names = [f"{int(time.time() * 1000):012x}{next(self._sequence):020x}" for _ in range(size)]
        reservations = [f"reservation-{name}" for name in names]
        orders = [f"order-{name}" for name in names]
        payments = [f"payment-{name}" for name in names]
        notifications = [f"notification-{name}" for name in names]

        def changed(version: int) -> Put:
            return Put(SECTION, section, BODY * 2, version, ("concert-1",))

        await asyncio.gather(*(self._place(name) for name in names))
        held = [[Put(RESERVATION, id, BODY, 0, (id[-30:],))] for id in reservations]
        held[0].append(changed(version))
        await self._step(2, names, held)
        await self._step(3, names, [[Put(ORDER, id, BODY, 1, ("concert-1", "Reserved"))] for id in orders])
        await self._step(4, names, [[Put(PAYMENT, id, BODY, 0, (id, None))] for id in payments])
        await self._read(RESERVATION, reservations)
        sold = [[Put(RESERVATION, id, BODY, 1, (None,))] for id in reservations]
        sold[0].append(changed(version + 1))
        await self._step(5, names, sold)
        await self._read(ORDER, orders)
        await self._step(6, names, [[Put(ORDER, id, BODY, 2, ("concert-1", "Paid"))] for id in orders])
        await self._step(7, names, [[Put(NOTIFICATION, id, BODY, 0, (id,))] for id in notifications])

    async def _place(self, name: str) -> None:
        self._busy(1)
        put = Put(ORDER, f"order-{name}", BODY, 0, ("concert-1", "Pending"))
        await self._commit([Commit("p", (put,), (fact(name, 1),))])

    async def _step(self, number: int, names: Sequence[str], puts: Sequence[Sequence[Put]]) -> None:
        self._busy(len(names))
        await self._commit(
            [Commit("p", of_order, (fact(name, number),)) for name, of_order in zip(names, puts, strict=True)]
        )

    async def run(self, orders: int, in_flight: int, size: int) -> None:
        """Take all orders through, `in_flight` at a time in groups of `size`, until the audit has their events."""
        groups = in_flight // size
        await asyncio.gather(*(self.group(number, orders // groups, size) for number in range(groups)))
        while self._audit is not None:
            await self._audit


async def measured(store: Any, arguments: argparse.Namespace) -> dict[str, float]:
    """The figures of one run over `store`."""
    load = Load(store, work_microseconds=arguments.work, reads=not arguments.no_reads)
    groups = arguments.in_flight // arguments.group
    orders = arguments.orders // groups * groups
    at = time.perf_counter(), time.process_time(), time.thread_time()
    await load.run(orders, arguments.in_flight, arguments.group)
    elapsed = time.perf_counter() - at[0]
    total = time.process_time() - at[1]
    main = time.thread_time() - at[2]
    latencies = sorted(load.latencies)
    return {
        "seconds": elapsed,
        "orders/s": orders / elapsed,
        "commits/s": load.commits / elapsed,
        "calls/s": load.calls / elapsed,
        "CPU us/order": total / orders * 1e6,
        "CPU us/order, main thread": main / orders * 1e6,
        "CPU us/commit": total / load.commits * 1e6,
        "CPU us/commit, main thread": main / load.commits * 1e6,
        "call p50 ms": latencies[len(latencies) // 2] * 1e3,
        "call p99 ms": latencies[int(len(latencies) * 0.99)] * 1e3,
        "call max ms": latencies[-1] * 1e3,
    }


def run(make: Callable[[Path], Any], arguments: argparse.Namespace) -> dict[str, float]:
    """One run over the store that `make` makes in a folder, in an event loop of its own."""

    async def main(folder: Path) -> dict[str, float]:
        store = make(folder)
        await store.start()
        try:
            return await measured(store, arguments)
        finally:
            await store.close()

    SCRATCH.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=SCRATCH) as name,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        figures = runner.run(main(Path(name)))
        return figures | {"file MB": sum(file.stat().st_size for file in Path(name).iterdir()) / 1e6}


def run_with_server(arguments: argparse.Namespace) -> dict[str, float]:
    """One run over a new PostgreSQL server, and what its processes used meanwhile."""

    async def main(folder: Path) -> dict[str, float]:
        async with Postgres(folder).running() as server:
            store = await PostgresStore.open(server.url, KINDS, CODEC, schema="bench")
            before = used_by_group(server.pid or 0)
            try:
                figures = await measured(store, arguments)
            finally:
                used = used_by_group(server.pid or 0) - before
                await store.close()
            orders = figures["orders/s"] * figures["seconds"]
            return figures | {"server CPU us/order": used / orders * 1e6}

    SCRATCH.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=SCRATCH) as name,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(main(Path(name)))


def used_by_group(leader: int) -> float:
    """CPU seconds of the processes in a process's session, those that have ended included."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[3]) == leader:
            ticks += sum(map(int, fields[11:13]))
            ticks += sum(map(int, fields[13:15])) if int(stat.parent.name) == leader else 0
        elif int(fields[1]) == leader:  # each serves a session of its own
            ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--in-flight", type=int, default=128, help="orders under way at a time")
    parser.add_argument("--group", type=int, default=16, help="orders that take a step together, on average")
    parser.add_argument("--work", type=float, default=0, help="other work of the main thread, us an order")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL in place of SQLite")
    parser.add_argument("--no-reads", action="store_true", help="leave out reading what is changed")
    arguments = parser.parse_args()
    floor = run(lambda _: Nothing(), arguments)
    if arguments.postgres:
        runs = [run_with_server(arguments) for _ in range(arguments.runs)]
    else:
        runs = [
            run(lambda folder: SqliteStore(folder / "bench.db", KINDS, CODEC), arguments) for _ in range(arguments.runs)
        ]
    print(f"{'median of ' + str(len(runs)):28} {'':>10} {'net':>10}  runs")
    for name in runs[0]:
        value = median(each[name] for each in runs)
        net = f"{value - floor[name]:10.1f}" if name.startswith("CPU") else f"{'':10}"
        print(f"{name:28} {value:10.1f} {net}  {', '.join(f'{each[name]:.1f}' for each in runs)}")
    print(f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    print(json.dumps(facts() | provenance("benchmarks.records", sys.argv[1:])))


if __name__ == "__main__":
    main()
