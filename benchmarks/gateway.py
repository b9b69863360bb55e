"""What the gateway costs: complete orders and reservations without it, through it, and through that of another version.

    python -m benchmarks.gateway --runs 3 --beside ../before/src

Every run is a fresh server with both gateways before it; each is measured in it, beginning with another one each time.
CPU is that of the gateway's processes, for each order or reservation; an answer that is no success ends it.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rich.console import Console

from benchmarks import generator, machine, measure
from benchmarks.generator import Orders, Reservations
from benchmarks.onsale import WARM_UP, show, write
from benchmarks.processes import cpu_by_kind
from benchmarks.server import Server, Wrong
from cludale.services import NAMES

DIRECT = "none"


class Way(NamedTuple):
    """An address, and the process that stands there; none of its own for the server itself."""

    url: str
    pid: int | None


class Found(NamedTuple):
    """What one load came to."""

    per_second: float
    p99_ms: float
    cpu_us: float


@contextmanager
def before(server: Server, sources: Path | None) -> Iterator[Way]:
    """A gateway before the server, of this version or from other sources."""
    with TemporaryDirectory(prefix="gateway-", dir=machine.SCRATCH) as folder:
        file = Path(folder) / "gateway.json"
        routes = {"backends": [{"url": server.url}]}
        file.write_text(json.dumps({"services": dict.fromkeys(NAMES, routes)}))
        environment = {
            **os.environ,
            "CLUDALE_DATA_DIR": folder,
            "CLUDALE_PORT": "0",
            "CLUDALE_LOG_LEVEL": "error",
            **({} if sources is None else {"PYTHONPATH": str(sources), "CLUDALE_GATEWAY_ADMIN_PORT": "0"}),
        }
        command = [sys.executable, "-m", "cludale_operations", "gateway", "--config", str(file)]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            try:
                greeting = process.stdout.readline() if process.stdout is not None else ""
                yield Way(greeting.split(" on ")[1].split()[0], process.pid)
            finally:
                process.terminate()


def measured(server: Server, way: Way, what: str, *, count: int, connections: int) -> Found:
    """So many complete orders, or reservations, at a new concert."""
    concert = server.put_on_concert(count)
    kinds = {} if way.pid is None else {way.pid: "gateway"}
    used = cpu_by_kind(kinds)
    if what == "orders":
        task: Orders | Reservations = Orders(url=way.url, count=count, connections=connections, concert_id=concert)
        published = server.metrics()["cludale_events_published_total"] + server.EVENTS_AN_ORDER * count
    else:
        task = Reservations(
            url=way.url, count=count, connections=connections, concert_id=concert, organizer_key=server.key
        )
        published = server.metrics()["cludale_events_published_total"] + count
    report = generator.run(task)
    if report.succeeded != count:
        raise Wrong(f"{count} {what}: {report.statuses}, {report.others}")
    completed = measure.quiet(server, published=published)
    seconds = (completed if what == "orders" else report.ended) - report.began
    cpu = cpu_by_kind(kinds).get("gateway", 0.0) - used.get("gateway", 0.0)
    return Found(count / seconds, report.p99_ms or 0.0, cpu / count * 1e6)


def as_rows(found: Mapping[tuple[str, str], list[Found]]) -> list[list[str]]:
    """A row for each way and kind of load: medians, least and most in brackets."""
    rows = [["gateway", "what", "a second", "p99 ms", "gateway's CPU µs each"]]
    for (way, what), each in found.items():
        cells = [f"{median(values):.0f} ({min(values):.0f}-{max(values):.0f})" for values in zip(*each, strict=True)]
        rows.append([way, what, *cells])
    return rows


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="how often everything is measured (3)")
    parser.add_argument("--orders", type=int, default=4_000, help="orders, and reservations, each time (4000)")
    parser.add_argument("--connections", type=int, default=64, help="at once (64)")
    parser.add_argument("--beside", type=Path, help="the src folder of another version, whose gateway is measured, too")
    options = parser.parse_args()
    console = Console()
    provenance, facts = machine.provenance("benchmarks.gateway", sys.argv[1:]), machine.facts()
    gateways: dict[str, Path | None] = {"this version's": None}
    if options.beside is not None:
        gateways[str(options.beside)] = options.beside.resolve()
    found: dict[tuple[str, str], list[Found]] = {
        (way, what): [] for what in ("orders", "reservations") for way in (DIRECT, *gateways)
    }
    for number in range(options.runs):
        with Server() as server, ExitStack() as stack:
            ways = {DIRECT: Way(server.url, None)}
            ways |= {name: stack.enter_context(before(server, sources)) for name, sources in gateways.items()}
            measure.orders(server, count=WARM_UP, connections=16)
            order = list(found)
            turn = number % len(order)
            for way, what in [*order[turn:], *order[:turn]]:
                one = measured(server, ways[way], what, count=options.orders, connections=options.connections)
                found[way, what].append(one)
                console.print(f"{number + 1}: {way:<24}{what:<14}{one.per_second:7.0f}/s  gateway {one.cpu_us:.0f} µs")
    rows = as_rows(found)
    show(rows, "The gateway: medians (least-most)", console)
    runs = [{"gateway": way, "what": what, "found": each} for (way, what), each in found.items()]
    path = write({"benchmark": "gateway", "provenance": provenance, "machine": facts, "runs": runs}, rows, "gateway")
    console.print(f"written to {path.relative_to(machine.PROJECT)} and {path.with_suffix('.md').name}")


if __name__ == "__main__":
    main()
