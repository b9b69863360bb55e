"""CPU of the server for an order of each kind, beside the builds of other commits: made for a machine that is busy.

    git worktree add --detach .cache/before COMMIT
    python -m benchmarks.cpu --against .cache/before --rounds 12

All servers run all the time. A round is short: each kind of order is sent to one server after the other, who comes
first goes round, and what counts is CPU in nanoseconds as the kernel's scheduler counts it, not time. What others do
on the machine still shows (caches, hyper-threads), and it only ever adds: so the least of all rounds is told beside the
median, and the ratio of the leasts beside that of the pairs.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import sleep
from typing import NamedTuple

import msgspec
from rich.console import Console

from benchmarks import generator, machine, measure
from benchmarks.beside import Side, tree
from benchmarks.checkout import Checkout
from benchmarks.figures import Spread, ratio, side_by_side
from benchmarks.generator import Orders
from benchmarks.onsale import show, write
from benchmarks.processes import cpu_nanoseconds
from benchmarks.server import Server, Wrong

WARM_UP = 600
_LOOK_SECONDS = 0.5
"""How often a server is asked how far it is: the answer costs it CPU, too."""
_QUIET_SECONDS = 120


class Kind(NamedTuple):
    """A kind of order."""

    name: str
    with_keys: bool = False
    in_no_order: bool = False
    """Keys that are UUIDs of version 4."""
    with_contact: bool = False


KINDS = (
    Kind("plain"),
    Kind("with a key", with_keys=True),
    Kind("with a key in no order", with_keys=True, in_no_order=True),
    Kind("with e-mail and phone", with_contact=True),
)


class Cell(msgspec.Struct, frozen=True):
    """What one server needed for one kind of order, in microseconds of CPU each, round by round."""

    rounds: list[float]
    refused: int
    """Orders that were answered otherwise, in all rounds."""


Found = Mapping[str, Mapping[str, Cell]]
"""By kind and side."""


def microseconds(server: Server, kind: Kind, *, count: int, connections: int) -> tuple[float, int]:
    """CPU for a complete order of this kind, and how many were refused. Raises Wrong."""
    concert_id = server.put_on_concert(count)
    task = Orders(
        url=server.url, count=count, connections=connections, concert_id=concert_id,
        with_keys=kind.with_keys, keys_in_no_order=kind.in_no_order, with_contact=kind.with_contact,
    )  # fmt: skip
    published, used = server.progress().published, cpu_nanoseconds(server.pid)
    report = generator.run(task)
    if not report.succeeded:
        raise Wrong(f"{kind.name}: nothing succeeded: {report.others}\n{server.log()}")
    _quiet(server, published=published + server.EVENTS_AN_ORDER * report.succeeded)
    used = cpu_nanoseconds(server.pid) - used
    return used / report.succeeded / 1_000, sum(report.others.values())


def idle(server: Server, *, seconds: float) -> float:
    """CPU a second of a server that nobody asks anything, in milliseconds."""
    used = cpu_nanoseconds(server.pid)
    sleep(seconds)
    return (cpu_nanoseconds(server.pid) - used) / 1e6 / seconds


def measured(
    sides: Sequence[Side], kinds: Sequence[Kind], *, count: int, connections: int, rounds: int, console: Console
) -> Found:
    """Each kind on each side in every round."""
    found: dict[tuple[str, str], list[float]] = {(kind.name, side.name): [] for kind in kinds for side in sides}
    refused = dict.fromkeys(found, 0)
    with ExitStack() as running:
        servers = [(side.name, running.enter_context(side.start())) for side in sides]
        for name, server in servers:
            measure.orders(server, count=WARM_UP, connections=connections)
            console.print(f"{name}: idle {idle(server, seconds=3):.1f} ms of CPU a second")
        for number in range(rounds):
            for at in range(len(kinds)):
                kind = kinds[(number + at) % len(kinds)]
                turn = (number + at) % len(servers)
                line = []
                for name, server in [*servers[turn:], *servers[:turn]]:
                    took, lost = microseconds(server, kind, count=count, connections=connections)
                    found[kind.name, name].append(round(took, 1))
                    refused[kind.name, name] += lost
                    line.append(f"{name} {took:.0f} µs")
                console.print(f"{number + 1}: {kind.name:<22} {', '.join(sorted(line))}")
    return {
        kind.name: {side.name: Cell(found[kind.name, side.name], refused[kind.name, side.name]) for side in sides}
        for kind in kinds
    }


def as_rows(found: Found) -> list[list[str]]:
    """Of each kind and side the least and the median, and their ratios: of the leasts, and of the pairs of rounds."""
    return side_by_side("CPU µs an order: least, median (most)", found, text=_figures, over=_ratios)


def _ratios(mine: Cell, other: Cell) -> str:
    return f"{min(mine.rounds) / min(other.rounds):.2f}, {ratio(mine.rounds, other.rounds).of_pairs.text(2)} in pairs"


def _figures(cell: Cell) -> str:
    spread = Spread.of(cell.rounds)
    lost = f"; {cell.refused} refused" if cell.refused else ""
    return f"{spread.min:.0f}, {spread.median:.0f} ({spread.max:.0f}){lost}"


def _quiet(server: Server, *, published: float) -> None:
    for _ in range(round(_QUIET_SECONDS / _LOOK_SECONDS)):
        progress = server.progress()
        if progress.published >= published and not progress.left:
            return
        sleep(_LOOK_SECONDS)
    raise Wrong(f"not quiet after {_QUIET_SECONDS} s")


def _sides(paths: Sequence[Path]) -> list[Side]:
    def named(side: Side, name: str) -> Side:
        return side._replace(name=name)

    mine = tree(Checkout.here())
    return [mine, *(named(side, side.name) for side in (tree(Checkout.at(path)) for path in paths))]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cpu", description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, nargs="+", default=[], metavar="PATH", help="other checkouts")
    parser.add_argument("--rounds", type=int, default=8, help="(8)")
    parser.add_argument("--orders", type=int, default=400, help="of each kind in a round (400)")
    parser.add_argument("--connections", type=int, default=64, help="(64)")
    parser.add_argument("--kinds", nargs="+", choices=[each.name for each in KINDS], help="(all)")
    options = parser.parse_args()
    console = Console(width=200)
    kinds = [each for each in KINDS if options.kinds is None or each.name in options.kinds]
    sides = _sides(options.against)
    provenance, facts = machine.provenance("benchmarks.cpu", sys.argv[1:]), machine.facts()
    cells = measured(
        sides, kinds, count=options.orders, connections=options.connections, rounds=options.rounds, console=console
    )
    rows = as_rows(cells)
    show(rows, "CPU of the server for an order", console)
    results = {
        "benchmark": "cpu",
        "provenance": provenance,
        "machine": facts,
        "sides": [side.facts for side in sides],
        "cells": cells,
    }
    path = write(results, rows, "-".join(["cpu", *(side.name for side in sides[1:])]))
    console.print(f"written to {path.relative_to(machine.PROJECT)} and {path.with_suffix('.md').name}")


if __name__ == "__main__":
    main()
