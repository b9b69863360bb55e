"""How many complete orders a second one hot concert sells, reservations alone, and `GET /livez` beside them.

    python -m benchmarks --runs 5 --orders 10000 --connections 64 256

Each order is sent with an `Idempotency-Key`, as clients are told to; beside that stands what it is without one.
Every run is a fresh server with an empty store, in which everything is measured once, each time in another order:
machines are noisy, so what is compared is measured side by side, and medians count.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import machine, measure
from benchmarks.figures import Ratio, Spread, ratio
from benchmarks.measure import Measured
from benchmarks.server import Server

WARM_UP = 1_000

FIGURES = {
    "perSecond": ("a second", 0),
    "p50Ms": ("p50 ms", 1),
    "p99Ms": ("p99 ms", 1),
    "serverCpuUs": ("server µs", 0),
    "serverMainThreadCpuUs": ("main thread µs", 0),
    "generatorCpuUs": ("generator µs", 1),
    "serverMemoryMib": ("server MiB", 0),
    "othersCpuPercent": ("others' CPU %", 0),
}
"""What is summed up, with its heading and decimals. µs are of CPU for each order, reservation or request."""


class Step(NamedTuple):
    """Something to be measured in each run."""

    name: str
    measure: Callable[[Server], Measured]


def steps(*, count: int, connections: Sequence[int], with_keys: bool) -> list[Step]:
    """Orders with and without a key at each number of connections; reservations and signs of life at the first."""

    def orders_at(number: int, *, with_keys: bool) -> Callable[[Server], Measured]:
        return lambda server: measure.orders(server, count=count, connections=number, with_keys=with_keys)

    first = connections[0]
    return [
        *(Step(f"orders at {number}", orders_at(number, with_keys=True)) for number in connections if with_keys),
        *(Step(f"no key, at {number}", orders_at(number, with_keys=False)) for number in connections),
        Step(
            f"reservations at {first}",
            lambda server: measure.reservations(server, count=count, connections=first),
        ),
        Step(
            f"livez at {first}",
            lambda server: measure.signs_of_life(server, count=2 * count, connections=first),
        ),
    ]


def run_all(todo: Sequence[Step], *, runs: int, console: Console) -> list[list[Measured]]:
    """Each step once in every run, beginning with another one each time."""
    found = []
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("starting", total=runs * len(todo))
        for number in range(runs):
            turn = number % len(todo)
            with Server() as server:
                measure.orders(server, count=WARM_UP, connections=16)
                run = []
                for step in [*todo[turn:], *todo[:turn]]:
                    progress.update(bar, description=f"run {number + 1}: {step.name}")
                    measured = step.measure(server)
                    run.append(measured)
                    progress.advance(bar)
                    progress.console.print(
                        f"{number + 1}: {step.name:<18}{measured.per_second:7.0f}/s  p99 {measured.p99_ms} ms"
                        + (f"  [red]{measured.others}[/]" if measured.others else "")
                    )
                found.append(run)
    return found


def summed_up(names: Sequence[str], runs: Sequence[Sequence[Measured]]) -> dict[str, dict[str, Spread]]:
    """Median, least and most of each figure, by what was measured."""
    summary = {}
    for name in names:
        rows = [msgspec.to_builtins(each) for run in runs for each in run if each.what == name]
        summary[name] = {
            figure: Spread.of(values)
            for figure in FIGURES
            if (values := [row[figure] for row in rows if row[figure] is not None])
        }
    return summary


def as_table(summary: dict[str, dict[str, Spread]]) -> list[list[str]]:
    """Rows of text, the first of them the headings; in each cell the median, and least to most in brackets."""
    rows = [["", *summary]]
    for figure, (heading, decimals) in FIGURES.items():
        spreads = [spreads[figure] for spreads in summary.values()]
        rows.append([heading, *(each.text(decimals) for each in spreads)])
    return rows


def of_the_key(runs: Sequence[Sequence[Measured]], connections: int) -> Ratio:
    """The server's CPU for an order with a key over that for one without, run by run."""
    with_key, without = (
        [each.server_cpu_us for run in runs for each in run if each.what == f"{kind} at {connections}"]
        for kind in ("orders", "no key,")
    )
    return ratio(with_key, without)


def ratios(summary: dict[str, dict[str, Spread]]) -> dict[str, float]:
    """Everything's median rate over that of `GET /livez`."""
    (livez,) = (spreads["perSecond"].median for name, spreads in summary.items() if name.startswith("livez"))
    return {
        name: round(spreads["perSecond"].median / livez, 3)
        for name, spreads in summary.items()
        if not name.startswith("livez")
    }


def write(results: dict[str, Any], rows: list[list[str]], name: str) -> Path:
    """Write the results as JSON, and beside it a short page of Markdown with the table; where the JSON is."""
    machine.RESULTS.mkdir(parents=True, exist_ok=True)
    made = results["provenance"]
    path = machine.RESULTS / f"{made['date'][:10]}-{made['commit']}-{name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
    host = results["machine"]
    page = [
        f"# {name}, {made['date']}, commit {made['commit']}{' with changes' if made['uncommittedChanges'] else ''}",
        "",
        f"`{made['command']}` on {host['cores']} cores {host['cpu']}, {host['memoryMiB']} MiB, {host['kernel']}, "
        f"Python {host['python']}, SQLite {host['sqlite']}, fsync p50 {host['fsyncP50Ms']} ms. "
        "Server and generator share the machine. Medians, least and most in brackets.",
        "",
        *("| " + " | ".join(row) + " |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:])),
        "",
    ]
    path.with_suffix(".md").write_text("\n".join(page))
    return path


def show(rows: list[list[str]], title: str, console: Console) -> None:
    """The rows as a table on the terminal."""
    table = Table(title=title, title_justify="left")
    for at, heading in enumerate(rows[0]):
        table.add_column(heading, justify="right" if at else "left")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)


def run(*, count: int, connections: Sequence[int], runs: int, with_keys: bool, console: Console) -> None:
    """Measure, show and write."""
    todo = steps(count=count, connections=connections, with_keys=with_keys)
    if with_keys:
        console.print("Each order has an Idempotency-Key; beside that, the same without a key.")
    provenance, facts = machine.provenance("benchmarks", sys.argv[1:]), machine.facts()
    found = run_all(todo, runs=runs, console=console)
    summary = summed_up([step.name for step in todo], found)
    rows = as_table(summary)
    show(rows, "The on-sale: medians (least-most)", console)
    for name, of_livez in ratios(summary).items():
        console.print(f"{name}: {of_livez:.2f} of the rate of GET /livez")
    for number in connections if with_keys else ():
        key = of_the_key(found, number)
        console.print(f"a key at {number}: {key.of_pairs.text(2)} of the server's CPU without one, pair by pair")
    path = write(
        {
            "benchmark": "onsale",
            "provenance": provenance,
            "machine": facts,
            "summary": summary,
            "ratiosToLivez": ratios(summary),
            "cpuWithKeyToWithout": {number: of_the_key(found, number) for number in connections if with_keys},
            "runs": found,
        },
        rows,
        "onsale",
    )
    console.print(f"written to {path.relative_to(machine.PROJECT)} and {path.with_suffix('.md').name}")
