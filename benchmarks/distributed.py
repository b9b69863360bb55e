"""The distributed shape on one machine: complete orders, reservations, where the CPU goes, and a textbook beside it.

    python -m benchmarks.distributed --runs 2

One replica of everything, and generator, services, sidecars, broker and database share the machine. Each run starts
the shape and the peer afresh, one after the other, in turn the one or the other first. The same generator sends the
same reservations to both; both have committed to a PostgreSQL of the same settings before they answer.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter, sleep

import msgspec
from rich.console import Console

from benchmarks import generator, machine
from benchmarks.generator import Orders, Report, Reservations
from benchmarks.onsale import show, write
from benchmarks.server import Server, Wrong
from benchmarks.shapes import Distributed, Running, Textbook
from cludale.services import NAMES

WARM_UP = 200
POLL_SECONDS = 0.1
QUIET_SECONDS = 120
PAGE = 200
KINDS = ("app", *NAMES, "gateway", "sidecars", "broker", "database", "generator")


class Measured(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one load came to."""

    what: str
    connections: int
    succeeded: int
    others: dict[str, int]
    seconds: float
    """Orders: until the last was paid, confirmed and audited. Reservations: until the last answer."""
    per_second: float
    p50_ms: float | None
    p99_ms: float | None
    cpu_us: dict[str, float]
    """Of each kind of process, for each order or reservation, until what follows from it was over."""
    memory_mib: dict[str, float]


class Events:
    """Counts one concert's events of one type in the audit log, each read once."""

    def __init__(self, server: Server, concert_id: str, type_: str) -> None:
        self._server = server
        self._asked: dict[str, str | int] = {"type": type_, "concertId": concert_id, "limit": PAGE}
        self._full = 0

    def wait(self, count: int) -> float:
        """Wait until there are so many; when that was seen. Raises Wrong."""
        deadline = perf_counter() + QUIET_SECONDS
        while True:
            page = self._server.get("/audit/events", **self._asked)
            now = perf_counter()
            seen = self._full + len(page["items"])
            if seen >= count:
                return now
            if page["next"] is not None:
                self._full += len(page["items"])
                self._asked["after"] = page["next"]
            else:
                if now > deadline:
                    came = f"{seen} of {count} {self._asked['type']} after {QUIET_SECONDS} s"
                    raise Wrong(f"{came}\n{self._server.log()}")
                sleep(POLL_SECONDS)


def orders(server: Running, *, count: int, connections: int) -> Measured:
    """Complete orders at one hot concert."""
    concert_id = server.put_on_concert(count)
    task = Orders(url=server.url, count=count, connections=connections, concert_id=concert_id)
    confirmed = Events(server, concert_id, "NotificationSent")
    measured = _measured(server, "orders", task, lambda report: confirmed.wait(report.succeeded))
    _settled(server, concert_id, measured.succeeded)
    return measured


def _settled(server: Server, concert_id: str, count: int) -> None:
    """Verify everything, with some patience: the last confirmation may be audited before another order's SeatsSold."""
    deadline = perf_counter() + QUIET_SECONDS
    while True:
        try:
            server.check_orders(concert_id, count)
        except Wrong:
            if perf_counter() > deadline:
                raise
            sleep(POLL_SECONDS)
        else:
            return


def reservations(server: Running, *, count: int, connections: int) -> Measured:
    """Reservations of one hot concert; of ours, the events that follow are waited for, too, before the next step."""
    concert_id = server.put_on_concert(count)
    task = Reservations(
        url=server.url, count=count, connections=connections, concert_id=concert_id, organizer_key=server.key
    )

    def answered(report: Report) -> float:
        if isinstance(server, Distributed):
            Events(server, concert_id, "SeatsReserved").wait(report.succeeded)
        return report.ended

    what = "reservations" if isinstance(server, Distributed) else "the textbook's reservations"
    measured = _measured(server, what, task, answered)
    held = server.get(f"/concerts/{concert_id}")["heldSeats"]
    unanswered = sum(count for what, count in measured.others.items() if not what.isdecimal())
    if not measured.succeeded <= held <= measured.succeeded + unanswered:  # what had no answer may have been done
        raise Wrong(f"{held} seats held, {measured.succeeded} reserved")
    return measured


def _measured(server: Running, what: str, task: Orders | Reservations, finished: Callable[[Report], float]) -> Measured:
    before = server.cpu_by_kind()
    report = generator.run(task)
    if not report.succeeded:
        raise Wrong(f"{what}: nothing succeeded: {report.others}\n{server.log()}")
    ended = finished(report)
    used = {kind: seconds - before.get(kind, 0.0) for kind, seconds in server.cpu_by_kind().items()}
    used["generator"] = report.cpu_seconds
    seconds = ended - report.began
    return Measured(
        what=what,
        connections=task.connections,
        succeeded=report.succeeded,
        others=report.others,
        seconds=round(seconds, 3),
        per_second=round(report.succeeded / seconds, 1),
        p50_ms=report.p50_ms,
        p99_ms=report.p99_ms,
        cpu_us={kind: round(used[kind] / report.succeeded * 1e6, 1) for kind in KINDS if kind in used},
        memory_mib={kind: round(mib, 1) for kind, mib in server.memory_by_kind().items()},
    )


def of_ours(*, orders_count: int, reservations_count: int, connections: int, console: Console) -> list[Measured]:
    """A fresh platform, measured."""
    with Distributed() as server:
        orders(server, count=WARM_UP, connections=16)
        return [
            _told(orders(server, count=orders_count, connections=connections), console),
            _told(reservations(server, count=reservations_count, connections=connections), console),
        ]


def of_the_textbook(*, count: int, connections: int, console: Console) -> list[Measured]:
    """A fresh peer, measured."""
    with Textbook() as server:
        reservations(server, count=WARM_UP, connections=16)
        return [_told(reservations(server, count=count, connections=connections), console)]


def _told(measured: Measured, console: Console) -> Measured:
    others = f"  [red]{measured.others}[/]" if measured.others else ""
    console.print(f"{measured.what:<28}{measured.per_second:7.0f}/s  p99 {measured.p99_ms} ms{others}")
    return measured


def as_table(runs: Sequence[Sequence[Measured]]) -> list[list[str]]:
    """Rows of text, the first of them the headings; in each cell the median, and least to most in brackets."""
    names = list(dict.fromkeys(sorted((each.what for run in runs for each in run), key=len)))
    found = {name: [each for run in runs for each in run if each.what == name] for name in names}

    def row(heading: str, figure: Callable[[Measured], float | None], decimals: int = 0) -> list[str]:
        cells = []
        for name in names:
            values = [value for each in found[name] if (value := figure(each)) is not None]
            spread = f"{median(values):.{decimals}f} ({min(values):.{decimals}f}-{max(values):.{decimals}f})"
            cells.append(spread if values else "")
        return [heading, *cells]

    rows = [
        ["", *names],
        row("a second", lambda each: each.per_second),
        row("p50 ms", lambda each: each.p50_ms, 1),
        row("p99 ms", lambda each: each.p99_ms, 1),
        row("CPU µs, all", lambda each: sum(each.cpu_us.values())),
    ]
    kinds = [kind for kind in KINDS if any(kind in each.cpu_us for run in runs for each in run)]
    for kind in kinds:
        cells = [""] * len(names)
        for at, name in enumerate(names):
            values = [each.cpu_us[kind] for each in found[name] if kind in each.cpu_us]
            cells[at] = f"{median(values):.0f}" if values else ""
        rows.append([f"CPU µs, {kind}", *cells])
    return rows


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distributed", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2, help="how often everything is measured (2)")
    parser.add_argument("--orders", type=int, default=3_000, help="orders in each run (3000)")
    parser.add_argument("--reservations", type=int, default=10_000, help="reservations in each run (10000)")
    parser.add_argument("--peer-reservations", type=int, default=4_000, help="the peer's (4000)")
    parser.add_argument("--connections", type=int, default=64, help="at once (64)")
    options = parser.parse_args()
    console = Console()
    provenance, facts = machine.provenance("benchmarks.distributed", sys.argv[1:]), machine.facts()
    runs: list[list[Measured]] = []
    for number in range(options.runs):
        ours = _step(
            of_ours,
            orders_count=options.orders,
            reservations_count=options.reservations,
            connections=options.connections,
            console=console,
        )
        theirs = _step(
            of_the_textbook, count=options.peer_reservations, connections=options.connections, console=console
        )
        runs.append([each for step in ((ours, theirs) if number % 2 == 0 else (theirs, ours)) for each in step()])
    rows = as_table(runs)
    show(rows, "The distributed shape: medians (least-most)", console)
    ratios = [_rate(run, "reservations") / _rate(run, "the textbook's reservations") for run in runs]
    console.print(f"reservations, ours over the textbook's, run by run: {', '.join(f'{each:.1f}' for each in ratios)}")
    path = write(
        {
            "benchmark": "distributed",
            "provenance": provenance,
            "machine": facts,
            "ratiosToTextbook": [round(each, 2) for each in ratios],
            "runs": runs,
        },
        rows,
        "distributed",
    )
    console.print(f"written to {path.relative_to(machine.PROJECT)} and {path.with_suffix('.md').name}")


def _step(make: Callable[..., list[Measured]], **arguments: object) -> Callable[[], list[Measured]]:
    return lambda: make(**arguments)


def _rate(run: Sequence[Measured], what: str) -> float:
    (rate,) = (each.per_second for each in run if each.what == what)
    return rate


if __name__ == "__main__":
    main()
