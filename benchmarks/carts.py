"""What a cart costs beside an order: CPU of the server and rows of its store, both in one run, in turns.

    python -m benchmarks.carts --times 1000 --lines 4

A real server over an empty folder; each turn places so many orders of one line, then so many carts, 16 at once, and
waits until every ticket is issued and no event is under way. Half of the turns begin with the carts. CPU is that of the
server's process as the kernel's scheduler counts it; what others do on the machine only ever adds to it, so the least
of the turns is told beside the median. Rows are counted in the store's file.
"""

import argparse
import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from time import sleep
from typing import Any, NamedTuple

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.figures import ratio
from benchmarks.processes import cpu_nanoseconds
from benchmarks.server import Server

AT_ONCE = 16
SECTIONS = 4
LOOK_SECONDS = 0.5
"""How often the server is asked whether it is quiet: the answer costs it CPU, too."""


class Cost(NamedTuple):
    """Of one order, or of one cart."""

    cpu_us: float
    rows: float


def rows_of(file: Path) -> int:
    """All rows of the store."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as store:
        names = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return sum(store.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names)


def order(number: int) -> tuple[str, Mapping[str, Any]]:
    """One line."""
    return "/orders", {"concertId": "hall", "userId": f"user-{number}", "quantity": 2, "section": "s0"}


def cart(number: int, lines: int) -> tuple[str, Mapping[str, Any]]:
    """So many lines, in the sections in turn."""
    wanted = [{"concertId": "hall", "quantity": 2, "section": f"s{each % SECTIONS}"} for each in range(lines)]
    return "/orders/carts", {"userId": f"user-{number}", "lines": wanted}


async def place(url: str, times: int, made: Callable[[int], tuple[str, Mapping[str, Any]]]) -> None:
    """Place them."""
    limit = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def one(number: int) -> None:
            async with limit:
                path, body = made(number)
                (await client.post(path, json=body)).raise_for_status()

        await asyncio.gather(*(one(number) for number in range(times)))


def quiet(server: Server) -> None:
    """Wait until no event is under way."""
    while server.progress().left:
        sleep(LOOK_SECONDS)


def measured(server: Server, times: int, made: Callable[[int], tuple[str, Mapping[str, Any]]]) -> Cost:
    """What one of them costs."""
    store = server.data / "cludale.db"
    quiet(server)
    before, rows = cpu_nanoseconds(server.pid), rows_of(store)
    asyncio.run(place(server.url, times, made))
    quiet(server)
    return Cost((cpu_nanoseconds(server.pid) - before) / times / 1_000, (rows_of(store) - rows) / times)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=1_000)
    parser.add_argument("--lines", type=int, default=4)
    parser.add_argument("--turns", type=int, default=4)
    asked = parser.parse_args()
    found: dict[str, list[Cost]] = {"order": [], "cart": []}
    kinds: dict[str, Callable[[int], tuple[str, Mapping[str, Any]]]] = {
        "order": order,
        "cart": lambda number: cart(number, asked.lines),
    }
    with Server() as server:
        sections = [
            {"id": f"s{each}", "totalSeats": 1_000_000, "price": {"amount": 4_500, "currency": "EUR"}}
            for each in range(SECTIONS)
        ]
        hall = {"id": "hall", "artist": "A", "date": "2099-06-05", "sections": sections}
        server.http.post("/concerts", json=hall).raise_for_status()
        asyncio.run(place(server.url, 200, order))  # to be warm
        for turn in range(asked.turns):
            for kind in ("order", "cart") if turn % 2 == 0 else ("cart", "order"):
                found[kind].append(measured(server, asked.times, kinds[kind]))
    order_us, cart_us = ([cost.cpu_us for cost in found[kind]] for kind in ("order", "cart"))
    order_rows, cart_rows = (median(cost.rows for cost in found[kind]) for kind in ("order", "cart"))
    table = Table("", "CPU, us: least", "median", "rows")
    table.add_row("order", f"{min(order_us):,.0f}", f"{median(order_us):,.0f}", f"{order_rows:.1f}")
    table.add_row(f"cart of {asked.lines}", f"{min(cart_us):,.0f}", f"{median(cart_us):,.0f}", f"{cart_rows:.1f}")
    of_pairs = ratio(cart_us, order_us).of_pairs.text(2)
    table.add_row("ratio", f"{min(cart_us) / min(order_us):.2f}", of_pairs, f"{cart_rows / order_rows:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
