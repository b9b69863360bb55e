"""What a concert's page and its event streams cost, and what a crowd that looks takes from an on-sale.

    python -m benchmarks.pages [--rounds 3] [--orders 4000] [--streams 10000] [--pages 10000] [--shapes one two]

One run, in turns with and without the crowd: complete orders a second at one hot concert, and meanwhile so many pages a
second and so many event streams of another concert, of which a seat is sold every second. In shape `one` all of it is
asked of `cludale serve`; in shape `two` the crowd asks `cludale pages`, a process of its own beside it. CPU is that of
the server's processes in nanoseconds, which other work on the machine hardly moves; rates and ages it does.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import NamedTuple

import httpx

from benchmarks import generator, measure
from benchmarks.crowd import HEAD, Crowd, Place, Told
from benchmarks.generator import Orders
from benchmarks.processes import cpu_nanoseconds
from benchmarks.server import Server

SECTIONS = 12
SEATS = 20
CONNECTIONS = 64
ALONE_SECONDS = 3.0


class Sale(NamedTuple):
    """An on-sale."""

    per_second: float
    """Complete orders: paid, told of and audited."""
    cpu_us: float
    """Of the process that sells, for each; what the crowd costs it is in it."""
    generator_us: float


def resident_bytes(pid: int) -> int:
    """What a process holds in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def sale(server: Server, count: int) -> Sale:
    """All orders of one, from the first request until all that follows is done."""
    task = Orders(url=server.url, count=count, connections=CONNECTIONS, concert_id=server.put_on_concert(count))
    before, used = server.progress().published, cpu_nanoseconds(server.pid)
    report = generator.run(task)
    if report.succeeded != count:
        raise RuntimeError(f"not all were sold: {report.others}\n{server.log()}")
    done = measure.quiet(server, published=before + server.EVENTS_AN_ORDER * count)
    used = cpu_nanoseconds(server.pid) - used
    return Sale(count / (done - report.began), used / count / 1_000, report.cpu_seconds / count * 1e6)


@contextmanager
def pages_of(server: Server, shape: str) -> Iterator[tuple[int, int]]:
    """Port and process of what serves the pages."""
    if shape == "one":
        yield server.port, server.pid
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "cludale_operations", "pages", "--api", server.url],
        env={**os.environ, "CLUDALE_PORT": "0", "CLUDALE_LOG_LEVEL": "warning"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("a pipe was asked for")
        port = int(process.stdout.readline().partition(" on http://127.0.0.1:")[2].split()[0])
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def alone(place: Place, pid: int, *, rate: int, streams: int = 0) -> tuple[Told, float, float]:
    """The crowd, and nothing else: what it said, the server's CPU seconds, and what a stream takes of memory."""
    with Crowd(place) as crowd:
        held = resident_bytes(pid)
        if streams:
            crowd.open(streams)
        held = resident_bytes(pid) - held
        sleep(0.5)
        used = cpu_nanoseconds(pid)
        crowd.start(rate)
        sleep(ALONE_SECONDS if rate else 2 * ALONE_SECONDS)
        told = crowd.stop()
        return told, (cpu_nanoseconds(pid) - used) / 1e9, held / max(streams, 1)


def concert(server: Server) -> tuple[str, list[str]]:
    """One with few seats, of which each that is sold is seen; its id, and its sections from the last to be sold on."""
    plans = [
        {"id": f"s{n}", "totalSeats": SEATS, "price": {"amount": 4500, "currency": "EUR"}} for n in range(SECTIONS)
    ]
    made = server.post("/concerts", {"artist": "Benchmark", "date": "2099-12-31", "sections": plans})
    return str(made["id"]), [str(each["id"]) for each in plans]


def tag_of(port: int, path: str) -> str:
    """What a browser keeps of the page."""
    fields = dict(line.split(": ", 1) for line in HEAD.decode().splitlines())
    return str(httpx.get(f"http://127.0.0.1:{port}{path}", headers=fields).headers["etag"])


def run(server: Server, shape: str, *, rounds: int, orders: int, streams: int, pages: int) -> None:
    """Measure one shape, and print."""
    with pages_of(server, shape) as (port, pid):
        print(
            f"\nshape {shape}: {'pages in the process that sells' if shape == 'one' else 'pages in their own process'}"
        )

        def place(*, is_known: bool = False) -> Place:
            id, sections = concert(server)
            path = f"/shop/concerts/{id}"
            tag = tag_of(port, path) if is_known else ""
            return Place("127.0.0.1", port, path, server.port, id, tag, CONNECTIONS, sections, SEATS)

        for what, known in (("whole page", False), ("page that the browser has (304)", True)):
            told, used, _ = alone(place(is_known=known), pid, rate=-1)
            rate, each = told.pages / told.seconds, used / told.pages * 1e6
            print(f"  {what}, alone: {rate:,.0f} a second, {each:.1f} us of CPU each; {_generator(told)}")
        told, used, held = alone(place(), pid, rate=0, streams=streams)
        print(
            f"  {streams:,} streams, alone: {held / 1024:.1f} KiB of memory each;"
            f" {used / max(told.frames, 1) * 1e6:.1f} us of CPU a frame and stream; age of a change {_ages(told)}",
            flush=True,
        )
        sales: list[tuple[Sale, Sale]] = []
        for number in range(rounds):
            without = sale(server, orders)
            print(
                f"  {number + 1}: orders {without.per_second:,.0f} a second, {without.cpu_us:.0f} us of CPU,"
                f" {without.generator_us:.0f} us of the generator's;",
                flush=True,
            )
            with Crowd(place()) as crowd:
                opened = crowd.open(streams) if streams else Told()
                own, began = cpu_nanoseconds(pid), perf_counter()
                crowd.start(pages)
                beside = sale(server, orders)
                told = crowd.stop()
                own, took = cpu_nanoseconds(pid) - own, perf_counter() - began
            sales.append((without, beside))
            shop = "" if shape == "one" else f"; pages' process {own / took / 1e7:.0f} % of a core"
            print(
                f"     beside the crowd {beside.per_second:,.0f} a second, {beside.cpu_us:.0f} us of CPU:"
                f" {beside.per_second / without.per_second:.2f};",
                f"pages {told.pages / told.seconds:,.0f} a second, {opened.opened:,} streams, age {_ages(told)}"
                f" ({told.behind} behind at the end){shop}; {_generator(told)}",
                flush=True,
            )
        of_pairs = median(beside.per_second / without.per_second for without, beside in sales)
        cpu = median(beside.cpu_us - without.cpu_us for without, beside in sales)
        print(f"  orders beside the crowd: {of_pairs:.2f} of those without it, {cpu:+.0f} us of CPU an order")


def _ages(told: Told) -> str:
    if not told.ages:
        return "not known"
    return "p50 {:.2f}, p99 {:.2f}, most {:.2f} s".format(*told.ages)


def _generator(told: Told) -> str:
    each = f", {told.cpu_seconds / told.pages * 1e6:.1f} us a page" if told.pages else ""
    return f"the crowd itself {100 * told.cpu_seconds / max(told.seconds, 0.001):.0f} % of a core{each}"


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of orders without and with the crowd (3)")
    parser.add_argument("--orders", type=int, default=4_000, help="of each (4000)")
    parser.add_argument("--streams", type=int, default=10_000, help="(10000)")
    parser.add_argument("--pages", type=int, default=10_000, help="a second (10000)")
    parser.add_argument("--shapes", nargs="+", choices=["one", "two"], default=["one", "two"], help="(both)")
    asked = parser.parse_args()
    for shape in asked.shapes:
        with Server() as server:
            sale(server, 1_000)  # to warm up
            run(server, shape, rounds=asked.rounds, orders=asked.orders, streams=asked.streams, pages=asked.pages)
    return 0


if __name__ == "__main__":
    sys.exit(main())
