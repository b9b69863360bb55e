"""What numbered seats cost beside such by quantity: complete orders and holds, both in one run, in turns.

    python -m benchmarks.numbered --orders 2000 --turns 5

A real server over an empty folder. Each turn sells two tickets an order: of a section by quantity, the best of a
section of 20,000 numbered seats, and seats that are named there; then it holds as many, without orders. Each of them
has a concert of its own in each turn, and the turns begin with another one each time. The rate of an order counts until
its tickets are issued and every event is delivered; medians of the turns count, and the shares are the medians of the
shares within each turn. On a machine that is not idle the share by the server's CPU says more.
"""

import argparse
import os
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks import measure
from benchmarks.generator import Orders, Reservations
from benchmarks.measure import Measured
from benchmarks.server import Server
from cludale_proof.rehearsal.hall import ROW, made

SEATS = 20_000
TICKETS = 2
CONNECTIONS = 64
PRICE = {"amount": 4500, "currency": "EUR"}


class Kind(NamedTuple):
    """Something that is measured, and beside what."""

    name: str
    beside: str | None
    measure: Callable[[Server, int], Measured]


def concert(server: Server, *, numbered: bool) -> str:
    """A concert with a section of SEATS; its id."""
    wanted: dict[str, object] = {"artist": "Benchmark", "date": "2099-12-31"}
    if numbered:
        wanted["seatPlan"], (zone,) = made(SEATS, balcony=False, aside=False)
        wanted["sections"] = [{"id": "hall", "zone": zone, "price": PRICE}]
    else:
        wanted["sections"] = [{"id": "hall", "totalSeats": SEATS, "price": PRICE}]
    return str(server.post("/concerts", wanted)["id"])


def names(count: int) -> list[list[str]]:
    """Two neighbours for each order, from the first row on."""
    pairs = [(row, seat) for row in range(SEATS // ROW) for seat in range(0, ROW, TICKETS)]
    return [[f"Stalls-{row + 1}-{seat + 1}", f"Stalls-{row + 1}-{seat + 2}"] for row, seat in pairs[:count]]


def orders(name: str, *, numbered: bool, named: bool = False) -> Callable[[Server, int], Measured]:
    """Complete orders."""

    def run(server: Server, count: int) -> Measured:
        task = Orders(
            url=server.url,
            count=count,
            connections=CONNECTIONS,
            concert_id=concert(server, numbered=numbered),
            quantity=TICKETS,
            seats=names(count) if named else [],
        )
        return measure.orders_at(server, name, task)

    return run


def holds(name: str, *, numbered: bool) -> Callable[[Server, int], Measured]:
    """Holds alone."""

    def run(server: Server, count: int) -> Measured:
        id = concert(server, numbered=numbered)
        task = Reservations(
            url=server.url,
            count=count,
            connections=CONNECTIONS,
            concert_id=id,
            organizer_key=server.key,
            quantity=TICKETS,
        )
        return measure.reservations_at(server, name, task)

    return run


KINDS = (
    Kind("orders by quantity", None, orders("orders by quantity", numbered=False)),
    Kind("orders, the best seats", "orders by quantity", orders("orders, the best seats", numbered=True)),
    Kind("orders, named seats", "orders by quantity", orders("orders, named seats", numbered=True, named=True)),
    Kind("holds by quantity", None, holds("holds by quantity", numbered=False)),
    Kind("holds, the best seats", "holds by quantity", holds("holds, the best seats", numbered=True)),
)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=2_000)
    parser.add_argument("--turns", type=int, default=5)
    asked = parser.parse_args()
    if not 0 < asked.orders * TICKETS <= SEATS:
        parser.error(f"--orders: {SEATS // TICKETS} at most")
    found: dict[str, list[Measured]] = {kind.name: [] for kind in KINDS}
    load = [os.getloadavg()[0]]
    with Server() as server:
        for kind in KINDS:  # to be warm
            kind.measure(server, 200)
        for turn in range(asked.turns):
            for at in range(len(KINDS)):
                kind = KINDS[(turn + at) % len(KINDS)]
                found[kind.name].append(kind.measure(server, asked.orders))
            load.append(os.getloadavg()[0])
    table = Table("", "a second", "share", "server CPU, us", "share by CPU", "p99, ms", "others' CPU, %")
    for kind in KINDS:
        mine = found[kind.name]
        beside = found[kind.beside] if kind.beside else mine
        share = median(one.per_second / other.per_second for one, other in zip(mine, beside, strict=True))
        by_cpu = median(other.server_cpu_us / one.server_cpu_us for one, other in zip(mine, beside, strict=True))
        table.add_row(
            kind.name,
            f"{median(each.per_second for each in mine):,.0f}",
            f"{share:.0%}" if kind.beside else "",
            f"{median(each.server_cpu_us for each in mine):,.0f}",
            f"{by_cpu:.0%}" if kind.beside else "",
            f"{median(each.p99_ms or 0 for each in mine):,.0f}",
            f"{median(each.others_cpu_percent for each in mine):.0f}",
        )
    console = Console()
    console.print(table)
    console.print(f"load {min(load):.1f} to {max(load):.1f}; {asked.turns} turns of {asked.orders} each")


if __name__ == "__main__":
    main()
