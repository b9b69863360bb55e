"""Orders that name no section, at concerts with more and more of them: does the rate stay?

    python -m benchmarks.sections --runs 3 --orders 4000 --connections 64

Every run is a fresh server; in it each number of sections is measured once, each time in another order. Twice: while
the cheapest section has room for all, and with so few seats in each that one after the other is sold out.
"""

import argparse
import sys
from statistics import median
from typing import NamedTuple

from rich.console import Console

from benchmarks import machine, measure
from benchmarks.generator import Orders
from benchmarks.onsale import WARM_UP, show, write
from benchmarks.server import Server, Wrong

SECTIONS = (1, 10, 50, 100, 500)
HEADINGS = ("the cheapest has room: a second", "server µs", "all are sold out one by one: a second", "server µs")


class Found(NamedTuple):
    """What one load came to."""

    per_second: float
    """Orders answered with 201."""
    cpu_us: float
    """The server's CPU for a complete order: hardly differs with what else the machine does."""


def measured(server: Server, *, sections: int, seats: int, count: int, connections: int) -> Found:
    """So many orders at a new concert."""
    concert_id = server.put_on_sections(sections, seats)
    task = Orders(url=server.url, count=count, connections=connections, concert_id=concert_id)
    before = server.cpu()
    report = measure.sent(server, task, events_each=server.EVENTS_AN_ORDER)
    if report.succeeded != count:
        raise Wrong(f"{count} orders for {sections} sections: {report.statuses}, {report.others}")
    cpu = server.cpu().since(before).process
    return Found(round(count / (report.ended - report.began), 1), round(cpu / count * 1e6, 1))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sections", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="how often everything is measured (3)")
    parser.add_argument("--orders", type=int, default=4_000, help="orders for each number of sections (4000)")
    parser.add_argument("--connections", type=int, default=64, help="at once (64)")
    options = parser.parse_args()
    console = Console()
    provenance, facts = machine.provenance("benchmarks.sections", sys.argv[1:]), machine.facts()
    count, connections = options.orders, options.connections
    room: dict[int, list[Found]] = {sections: [] for sections in SECTIONS}
    filling: dict[int, list[Found]] = {sections: [] for sections in SECTIONS}
    for number in range(options.runs):
        turn = number % len(SECTIONS)
        with Server() as server:
            measured(server, sections=1, seats=WARM_UP, count=WARM_UP, connections=16)
            for sections in (*SECTIONS[turn:], *SECTIONS[:turn]):
                for kept, seats in ((room, count), (filling, -(-count // sections))):
                    found = measured(server, sections=sections, seats=seats, count=count, connections=connections)
                    kept[sections].append(found)
                    console.print(f"{number + 1}: {sections} sections of {seats} seats: {found}")
    rows = [["sections", *HEADINGS]]
    for sections in SECTIONS:
        figures = [values for kept in (room, filling) for values in zip(*kept[sections], strict=True)]
        rows.append([str(sections), *(f"{median(each):.0f} ({min(each):.0f}-{max(each):.0f})" for each in figures)])
    show(rows, "Orders without a section: medians (least-most)", console)
    results = {"benchmark": "sections", "provenance": provenance, "machine": facts, "room": room, "filling": filling}
    console.print(f"written to {write(results, rows, 'sections').relative_to(machine.PROJECT)}")


if __name__ == "__main__":
    main()
