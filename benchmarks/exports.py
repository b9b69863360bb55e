"""What exports take of a server.

    python -m benchmarks.exports --orders 500000

A data folder is filled with that many paid orders; then the real server runs over it, started anew for each way: the
export as CSV, as XLSX, and sales summed by concert, day and section. Peak memory is VmHWM of the server's process; the
slowest of many `GET /livez`, one after another, says how long others waited meanwhile.
"""

import argparse
import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import httpx
from rich.console import Console

from benchmarks.server import Server
from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.allocation import OrderSeats
from cludale.kernel.money import Money
from cludale.kernel.wire import Codec
from cludale.ports.records import Commit
from cludale.services.catalogue import CATALOGUE, KINDS
from cludale.services.orders.order import Order, OrderPayment, PaymentStatus, Status
from cludale.services.orders.store import ORDERS

BATCH = 2_000
WAYS = {
    "csv": "/orders/export?format=csv",
    "xlsx": "/orders/export?format=xlsx",
    "sales": "/orders/reports/sales?by=concert,day,section",
}


class Taken(NamedTuple):
    """What one of them took."""

    seconds: float
    cpu_seconds: float
    at_rest_mib: float
    peak_mib: float
    mib: float
    slowest_ping_ms: float


def order_of(number: int) -> Order:
    """One of the orders: paid, of one of two sections."""
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=60 * number)
    at = datetime(2026, 1, 1, tzinfo=UTC) + (at - datetime(2026, 1, 1, tzinfo=UTC)) % timedelta(days=300)
    section, reservation = "stalls" if number % 3 else "balcony", f"reservation-{number:032x}"
    return Order(
        id=f"order-{number:032x}",
        user_id=f"user-{number % 100_000}",
        status=Status.PAID,
        payment_method="card-ok",
        created_at=at,
        total=Money(9_000, "EUR"),
        expires_at=at + timedelta(minutes=10),
        cancel_until=at + timedelta(days=100),
        payment=OrderPayment(status=PaymentStatus.COMPLETED, at=at, attempts=1),
        seats=OrderSeats(concert_id="concert-1", quantity=2, section=section, reservation_id=reservation),
    )


async def fill(file: Path, orders: int) -> None:
    """Write so many orders into the store."""
    store = SqliteStore(file, KINDS, Codec(CATALOGUE))
    for start in range(0, orders, BATCH):
        batch = [order_of(number) for number in range(start, min(start + BATCH, orders))]
        await store.commit([Commit(ORDERS.partition(each.id), [ORDERS.put(each, 0)]) for each in batch])
    await store.close()


def peak_mib(pid: int) -> float:
    """The most memory that the process had resident."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


class Pings:
    """Asks for `/livez`, one after another, until it is stopped."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._is_over = threading.Event()
        self.slowest = 0.0
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as http:
            while not self._is_over.wait(0.02):
                began = perf_counter()
                http.get("/livez")
                self.slowest = max(self.slowest, perf_counter() - began)

    def stop(self) -> float:
        """The slowest, in seconds."""
        self._is_over.set()
        self._thread.join()
        return self.slowest


def take(server: Server, path: str) -> Taken:
    """Fetch it from a server that has done nothing before."""
    at_rest, cpu, began = peak_mib(server.pid), server.cpu(), perf_counter()
    pings, size = Pings(server.url), 0
    with server.http.stream("GET", path, timeout=None) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_raw():
            size += len(chunk)
    seconds, slowest = perf_counter() - began, pings.stop()
    used = server.cpu().since(cpu).process
    return Taken(seconds, used, at_rest, peak_mib(server.pid), size / 2**20, 1_000 * slowest)


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=500_000, help="how many orders there are")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="what is asked for")
    options = parser.parse_args()
    console = Console()
    with Server() as server:
        server.stop()
        console.print(f"writing {options.orders:,} orders")
        asyncio.run(fill(server.data / "cludale.db", options.orders))
        for way in options.ways:
            server.start()
            taken = take(server, WAYS[way])
            server.stop()
            console.print(
                f"{way}: {taken.seconds:.1f} s ({taken.cpu_seconds:.1f} s of CPU), memory {taken.peak_mib:.0f} MiB at "
                f"its peak, {taken.at_rest_mib:.0f} MiB before; {taken.mib:.1f} MiB of file; the slowest answer to "
                f"another {taken.slowest_ping_ms:.0f} ms"
            )


if __name__ == "__main__":
    main()
