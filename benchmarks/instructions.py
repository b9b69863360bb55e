"""How many instructions the server needs for an order, of this checkout beside others.

    python -m benchmarks.instructions --against ../before

Seconds of CPU differ by a tenth and more with what else the machine does; instructions hardly do. Each server runs
under Valgrind's callgrind, which counts those of its process. Those of the kernel are not among them: what reading,
writing and fsync cost, and that caches are missed, only `benchmarks.cpu` tells. The server runs some fifty times slower
meanwhile, so what timers do by themselves in that time is counted apart and taken off; sweeps come once an hour.
Needs `valgrind`.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import ClassVar, NamedTuple

from rich.console import Console

from benchmarks import generator, machine
from benchmarks.checkout import Checkout
from benchmarks.figures import side_by_side
from benchmarks.generator import Orders, Reservations
from benchmarks.onsale import show, write
from benchmarks.processes import cpu_nanoseconds
from benchmarks.server import Server, Wrong

WARM_UP = 200
IDLE_SECONDS = 4
PATIENCE_SECONDS = 600
_LOOK_SECONDS = 1.0
_QUIET_SHARE = 0.2
"""Of one core: less than this, and a look at how far the server is may be worth what it costs."""


class Kind(NamedTuple):
    """What is asked for."""

    name: str
    with_keys: bool = False
    holds: bool = False
    """Reservations alone."""

    def task(self, server: Server, *, count: int, connections: int) -> Orders | Reservations:
        """So many, at a concert of their own."""
        concert_id = server.put_on_concert(count)
        if self.holds:
            return Reservations(
                url=server.url, count=count, connections=connections, timeout_seconds=PATIENCE_SECONDS,
                concert_id=concert_id, organizer_key=server.key,
            )  # fmt: skip
        return Orders(
            url=server.url, count=count, connections=connections, timeout_seconds=PATIENCE_SECONDS,
            concert_id=concert_id, with_keys=self.with_keys,
        )  # fmt: skip


KINDS = (Kind("order, no key"), Kind("order with a key", with_keys=True), Kind("reservation", holds=True))


Found = Mapping[str, Mapping[str, list[float]]]
"""By kind and server: what each of a kind needed, in thousands of instructions, round by round."""


class CountedServer(Server):
    """The server under callgrind. Instructions count from `begin` until `end`."""

    START_SECONDS: ClassVar = 300

    def _started(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> float:
        out = f"--callgrind-out-file={self.data}/counted"
        counting = ["valgrind", "--tool=callgrind", "--instr-atstart=no", out, *command]
        return super()._started(counting, {**environment, "CLUDALE_SWEEP_SECONDS": "3600"}, folder)

    def begin(self) -> None:
        """Count from here on."""
        self._control("--instr=on")
        self._control("--zero")

    def end(self) -> int:
        """How many there were since `begin`."""
        before = set(self.data.glob("counted*"))
        self._control("--dump")
        (dump,) = set(self.data.glob("counted*")) - before
        self._control("--instr=off")
        (totals,) = (line for line in dump.read_text().splitlines() if line.startswith("totals:"))
        return int(totals.split()[1])

    def _control(self, wanted: str) -> None:
        subprocess.run(["callgrind_control", wanted, str(self.pid)], check=True, capture_output=True, timeout=60)


def instructions(server: CountedServer, kind: Kind, *, count: int, connections: int) -> float:
    """For each of so many, until all that follows is done; what timers do by themselves is taken off. Raises Wrong."""
    task = kind.task(server, count=count, connections=connections)
    wanted = server.progress().published + count * (1 if kind.holds else server.EVENTS_AN_ORDER)
    server.begin()
    began = monotonic()
    report = generator.run(task)
    _quiet(server, published=wanted)
    seconds = monotonic() - began
    used = server.end()
    if report.succeeded != count:
        raise Wrong(f"{kind.name}: {report.others}\n{server.log()}")
    return (used - idle(server) * seconds) / count


def idle(server: CountedServer) -> float:
    """Instructions a second of a server that nobody asks anything."""
    server.begin()
    began = monotonic()
    sleep(IDLE_SECONDS)
    seconds = monotonic() - began
    return server.end() / seconds


def measured(
    checkouts: Sequence[Checkout],
    kinds: Sequence[Kind],
    *,
    count: int,
    connections: int,
    rounds: int,
    console: Console,
) -> Found:
    """Each kind at the server of each checkout, in every round."""
    cells: Found = {kind.name: {each.commit(): [] for each in checkouts} for kind in kinds}
    with ExitStack() as running:
        servers = [(each.commit(), running.enter_context(CountedServer(each))) for each in checkouts]
        for _, server in servers:
            task = KINDS[1].task(server, count=WARM_UP, connections=connections)
            wanted = server.progress().published + WARM_UP * server.EVENTS_AN_ORDER
            generator.run(task)
            _quiet(server, published=wanted)
        for number in range(rounds):
            for kind in kinds:
                for name, server in servers:
                    found = instructions(server, kind, count=count, connections=connections) / 1_000
                    cells[kind.name][name].append(round(found, 1))
                    console.print(f"{number + 1}: {kind.name:<18}{name:<20}{found:,.0f} thousand")
    return cells


def as_rows(found: Found) -> list[list[str]]:
    """Medians, from the least to the most, and their ratios."""
    return side_by_side(
        "thousands of instructions each",
        found,
        text=lambda each: f"{median(each):,.0f} ({min(each):,.0f}-{max(each):,.0f})",
        over=lambda mine, other: f"{median(mine) / median(other):.2f}",
    )


def _quiet(server: Server, *, published: float) -> None:
    """Wait until all that follows is done. Raises Wrong.

    By the server's CPU first, for each question is counted, too.
    """
    deadline = monotonic() + PATIENCE_SECONDS
    while monotonic() < deadline:
        used = cpu_nanoseconds(server.pid)
        sleep(_LOOK_SECONDS)
        if cpu_nanoseconds(server.pid) - used < _QUIET_SHARE * _LOOK_SECONDS * 1e9:
            progress = server.progress()
            if progress.published >= published and not progress.left:
                return
    raise Wrong(f"not quiet after {PATIENCE_SECONDS} s")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, nargs="+", default=[], metavar="PATH", help="other checkouts")
    parser.add_argument("--rounds", type=int, default=3, help="(3)")
    parser.add_argument("--count", type=int, default=400, help="of each kind in a round (400)")
    parser.add_argument("--connections", type=int, default=64, help="(64)")
    parser.add_argument("--kinds", nargs="+", choices=[each.name for each in KINDS], help="(all)")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        parser.error("valgrind is not installed (apt-get install valgrind)")
    console = Console(width=160)
    kinds = [each for each in KINDS if options.kinds is None or each.name in options.kinds]
    checkouts = [Checkout.here(), *map(Checkout.at, options.against)]
    provenance, facts = machine.provenance("benchmarks.instructions", sys.argv[1:]), machine.facts()
    cells = measured(
        checkouts, kinds, count=options.count, connections=options.connections, rounds=options.rounds, console=console
    )
    rows = as_rows(cells)
    show(rows, "Instructions of the server, without the kernel's", console)
    results = {"benchmark": "instructions", "provenance": provenance, "machine": facts, "cells": cells}
    path = write(results, rows, "-".join(["instructions", *(each.commit() for each in checkouts[1:])]))
    console.print(f"written to {path.relative_to(machine.PROJECT)} and {path.with_suffix('.md').name}")


if __name__ == "__main__":
    main()
