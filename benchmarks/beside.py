"""This tree's server beside another one, in turns: what the one's figures are of the other's, pair by pair.

    python -m benchmarks --against ../before --runs 5
    python -m benchmarks --peer --runs 5

Both servers run all the time and have an empty store in every round; each step is measured on the one and right after
on the other, by this tree's generator. Bytes on disk come last in a round: both are stopped before and after the
orders that are counted, so that nothing is left to be worked in.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import msgspec
from rich.console import Console

from benchmarks import machine, measure
from benchmarks.checkout import Checkout
from benchmarks.figures import Ratio, Spread, as_rows, ratio, turns
from benchmarks.measure import Measured
from benchmarks.onsale import WARM_UP, Step, show, steps, write
from benchmarks.server import Server, Wrong
from benchmarks.shapes import Embedded

FIGURES = {"perSecond": ("a second", 0), "p99Ms": ("p99 ms", 1), "serverCpuUs": ("server µs each", 0)}
"""What is compared of each step, with its heading and decimals. µs are of CPU, of all the server's processes."""


class Side(NamedTuple):
    """One of the two."""

    name: str
    start: Callable[[], Server]
    facts: dict[str, str]
    """What the result says of it."""


class Found(msgspec.Struct, frozen=True, rename="camel"):
    """What one side came to in one round."""

    side: str
    measured: list[Measured]
    bytes_an_order: float


def peer() -> Side:
    """The embedded peer."""
    return Side("embedded peer", Embedded, {"peer": "benchmarks/peers/embedded"})


def tree(checkout: Checkout) -> Side:
    """The server of a checkout."""
    commit = checkout.commit()
    return Side(commit, lambda: Server(checkout), {"commit": commit, "python": checkout.python_version()})


def compared(todo: Sequence[Step], rounds: Sequence[Sequence[Found]]) -> dict[str, tuple[Ratio, int]]:
    """The ratios of all figures, with the decimals of each; in every round ours comes first."""
    found = {}
    for step in todo:
        for figure, (heading, decimals) in FIGURES.items():
            of_sides = [[_figure(each[side], step.name, figure) for each in rounds] for side in range(2)]
            found[f"{step.name}: {heading}"] = (ratio(*of_sides), decimals)
    ours, theirs = ([each[side].bytes_an_order for each in rounds] for side in range(2))
    found["bytes on disk an order"] = (ratio(ours, theirs), 0)
    return found


def circumstances(todo: Sequence[Step], rounds: Sequence[Sequence[Found]]) -> list[list[str]]:
    """Rows for the table: how many requests were answered otherwise, where any were, and what others took of the CPU.

    Both say how far the ratios can be believed: refusals spare work, and a machine that is busy with other things is
    no scale.
    """
    rows = []
    for step in todo:
        otherwise = [[sum(_of(each[side], step.name).others.values()) for each in rounds] for side in range(2)]
        if any(any(of_side) for of_side in otherwise):
            texts = [", ".join(map(str, of_side)) for of_side in otherwise]
            rows.append([f"{step.name}: answered otherwise", *texts, "", ""])
    others = [[each.others_cpu_percent for of_round in rounds for each in of_round[side].measured] for side in range(2)]
    return [*rows, ["the machine's CPU that others used, %", *(Spread.of(each).text(0) for each in others), "", ""]]


def measured(
    sides: Sequence[Side], todo: Sequence[Step], *, count: int, connections: int, rounds: int, console: Console
) -> list[list[Found]]:
    """All rounds; in each what the sides came to, in the order of the sides."""
    plan = turns(rounds=rounds, steps=len(todo), sides=len(sides))
    found = []
    for number in range(rounds):
        with ExitStack() as running:
            servers = [running.enter_context(side.start()) for side in sides]
            for server in servers:
                measure.orders(server, count=min(WARM_UP, count), connections=16)
            kept: list[dict[str, Measured]] = [{} for _ in sides]
            for turn in (each for each in plan if each.round == number):
                step = todo[turn.step]
                one = kept[turn.side][step.name] = step.measure(servers[turn.side])
                _tell(console, number, sides[turn.side], step.name, one)
            of_round = []
            for side, server, each in zip(sides, servers, kept, strict=True):
                size = bytes_an_order(server, count=count, connections=connections)
                console.print(f"{number + 1}: {side.name:<16}{size:,.0f} bytes on disk an order")
                of_round.append(Found(side.name, [each[step.name] for step in todo], size))
            found.append(of_round)
    return found


def bytes_an_order(server: Server, *, count: int, connections: int) -> float:
    """By how much the data folder of a server that is stopped grew, for each of so many orders with keys."""
    server.stop()
    before = server.data_bytes()
    server.start()
    succeeded = measure.orders(server, count=count, connections=connections).succeeded
    server.stop()
    grown = server.data_bytes() - before
    return round(grown / succeeded, 1)


def run(other: Side, *, count: int, connections: Sequence[int], rounds: int, console: Console) -> None:
    """Measure, show and write."""
    ours = tree(Checkout.here())
    provenance, facts = machine.provenance("benchmarks", sys.argv[1:]), machine.facts()
    with_peer = "peer" in other.facts
    todo = [
        step
        for step in steps(count=count, connections=connections, with_keys=True)
        if step.name.startswith("orders" if with_peer else ("orders", "no key", "reservations"))
    ]
    console.print(f"{ours.name} beside {other.name}, in turns.")
    found = measured((ours, other), todo, count=count, connections=connections[0], rounds=rounds, console=console)
    ratios = compared(todo, found)
    rows = [*as_rows(ratios, ours=ours.name, theirs=other.name), *circumstances(todo, found)]
    show(rows, "Medians (least-most); ratios are ours over theirs", console)
    path = write(
        {
            "benchmark": "beside",
            "provenance": provenance,
            "machine": facts,
            "sides": {"ours": ours.facts, "theirs": other.facts},
            "ratios": {name: each for name, (each, _) in ratios.items()},
            "rounds": found,
        },
        rows,
        f"beside-{other.name.replace(' ', '-')}",
    )
    console.print(f"written to {path.relative_to(machine.PROJECT)} and {path.with_suffix('.md').name}")


def _of(found: Found, step: str) -> Measured:
    (one,) = (each for each in found.measured if each.what == step)
    return one


def _figure(found: Found, step: str, figure: str) -> float:
    value = msgspec.to_builtins(_of(found, step))[figure]
    if value is None:
        raise Wrong(f"{found.side}, {step}: no {figure}")
    return float(value)


def _tell(console: Console, number: int, side: Side, step: str, one: Measured) -> None:
    others = f"  [red]{one.others}[/]" if one.others else ""
    console.print(
        f"{number + 1}: {side.name:<16}{step:<20}{one.per_second:7.0f}/s  p99 {one.p99_ms} ms  "
        f"{one.server_cpu_us:.0f} µs{others}"
    )
