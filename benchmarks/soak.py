"""Half a million orders in a row: does memory stay flat, does it stay as fast, and how long is a restart with them?

    python -m benchmarks.soak --orders 500000 --connections 64

One hot concert, one server. Rates are of complete orders (paid, notified and audited), from how many events were
delivered; memory is sampled once a second. Then the server is stopped and started, killed and started.
"""

import argparse
import signal
import sys
from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks import generator, machine, measure
from benchmarks.generator import Orders, Report
from benchmarks.onsale import show, write
from benchmarks.server import Server

WARM_UP = 1_000
KEPT_SAMPLES = 60


class Sample(NamedTuple):
    """Where it was at one moment, `seconds` after the first request."""

    seconds: float
    complete: float
    """Orders whose events are all published."""
    memory_mib: float


class Soak(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What it came to."""

    orders: int
    others: dict[str, int]
    """Answers that were no success, and requests without one."""
    seconds: float
    per_second: float
    first_tenth_per_second: float
    last_tenth_per_second: float
    last_to_first: float
    memory_before_mib: float
    memory_median_mib: float
    memory_most_mib: float
    server_cpu_us: float
    generator_cpu_us: float
    p50_ms: float | None
    p99_ms: float | None
    largest_ms: float | None
    data_mib: float
    bytes_per_order: float
    stop_seconds: float
    restart_seconds: float
    """From the command to the first answer of `GET /readyz` after an orderly stop."""
    restart_after_kill_seconds: float
    samples: list[Sample]


def soak(server: Server, *, count: int, connections: int, progress: Progress) -> Soak:
    """All of it. Raises Wrong if the counts are not exact in the end."""
    measure.orders(server, count=WARM_UP, connections=16)
    memory_before, _ = server.memory_mib()
    concert_id = server.put_on_concert(count)
    published = server.metrics()["cludale_events_published_total"]
    cpu_before, began = server.cpu(), perf_counter()
    samples = [Sample(0.0, 0.0, memory_before)]
    bar = progress.add_task("orders", total=count)

    def look(answered: int) -> None:
        complete = (server.metrics()["cludale_events_published_total"] - published) / server.EVENTS_AN_ORDER
        samples.append(Sample(perf_counter() - began, complete, server.memory_mib()[0]))
        progress.update(bar, completed=answered, description=f"orders, {samples[-1].memory_mib:.0f} MiB")

    task = Orders(url=server.url, count=count, connections=connections, concert_id=concert_id)
    report = generator.run(task, watch=look)
    # The generator needs a moment to start: times are from its first request.
    late = report.began - began
    succeeded = report.succeeded
    seconds = measure.quiet(server, published=published + server.EVENTS_AN_ORDER * succeeded) - report.began
    used = server.cpu().since(cpu_before)
    memory_now, memory_most = server.memory_mib()
    progress.update(bar, completed=count, description="counting")
    server.check_orders(concert_id, succeeded)
    timeline = [samples[0], *(sample._replace(seconds=sample.seconds - late) for sample in samples[1:])]
    timeline.append(Sample(seconds, succeeded, memory_now))
    data = server.data_mib()
    progress.update(bar, description="restarting")
    stop = server.stop()
    restart = server.start()
    server.stop(signal.SIGKILL)
    return Soak(
        orders=succeeded,
        others=report.others,
        seconds=round(seconds, 1),
        per_second=round(succeeded / seconds, 1),
        **_tenths(timeline, succeeded),
        memory_before_mib=round(memory_before, 1),
        memory_median_mib=round(median(sample.memory_mib for sample in timeline), 1),
        memory_most_mib=round(memory_most, 1),
        **_costs(report, used.process),
        data_mib=round(data, 1),
        bytes_per_order=round(data * 2**20 / (succeeded + WARM_UP)),
        stop_seconds=round(stop, 2),
        restart_seconds=round(restart, 2),
        restart_after_kill_seconds=round(server.start(), 2),
        samples=[
            Sample(round(each.seconds, 1), round(each.complete), round(each.memory_mib, 1))
            for each in timeline[:: max(1, len(timeline) // KEPT_SAMPLES)]
        ],
    )


def reached(timeline: list[Sample], complete: float) -> float:
    """When so many orders were complete, in seconds, between the samples by their straight line."""
    for earlier, later in pairwise(timeline):
        if earlier.complete <= complete <= later.complete and later.complete > earlier.complete:
            share = (complete - earlier.complete) / (later.complete - earlier.complete)
            return earlier.seconds + share * (later.seconds - earlier.seconds)
    raise ValueError(f"{complete} were never complete")


def _tenths(timeline: list[Sample], count: int) -> dict[str, float]:
    first = count / 10 / reached(timeline, count / 10)
    last = count / 10 / (timeline[-1].seconds - reached(timeline, count * 0.9))
    return {
        "first_tenth_per_second": round(first, 1),
        "last_tenth_per_second": round(last, 1),
        "last_to_first": round(last / first, 3),
    }


def _costs(report: Report, server_cpu_seconds: float) -> dict[str, Any]:
    return {
        "server_cpu_us": round(server_cpu_seconds / report.succeeded * 1e6, 1),
        "generator_cpu_us": round(report.cpu_seconds / report.succeeded * 1e6, 1),
        "p50_ms": report.p50_ms,
        "p99_ms": report.p99_ms,
        "largest_ms": report.largest_ms,
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=500_000, help="how many, one after the other (500000)")
    parser.add_argument("--connections", type=int, default=64, help="at once (64)")
    options = parser.parse_args()
    console = Console()
    provenance, facts = machine.provenance("benchmarks.soak", sys.argv[1:]), machine.facts()
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Server() as server, Progress(*columns, console=console) as progress:
        soaked = soak(server, count=options.orders, connections=options.connections, progress=progress)
    figures = {name: value for name, value in msgspec.to_builtins(soaked).items() if name != "samples"}
    rows = [["", "figure"], *([name, str(value)] for name, value in figures.items())]
    show(rows, "The soak", console)
    path = write({"benchmark": "soak", "provenance": provenance, "machine": facts, "soak": soaked}, rows, "soak")
    console.print(f"written to {path.relative_to(machine.PROJECT)} and {path.with_suffix('.md').name}")


if __name__ == "__main__":
    main()
