"""What exports take of a server: `python -m benchmarks.exports --orders 500000`.

A data folder is filled with that many paid orders; then `cludale serve` runs over it, and its export is fetched as CSV
and as XLSX, and sales are summed, each by a server of its own. Said are how long each takes, the CPU time of the server,
its peak memory (VmHWM), and how long the slowest of many `GET /livez` waited meanwhile.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
from tests.served import KEY, serve

from cludale.kernel.allocation import OrderSeats
from cludale.kernel.money import Money
from cludale.ports.records import Commit
from cludale.services.catalogue import CATALOGUE, KINDS
from cludale.services.orders.domain import Order, OrderPayment, PaymentStatus, Status
from cludale.services.orders.store import ORDERS

BATCH = 2_000
WAYS = {
    "csv": "/orders/export?format=csv",
    "xlsx": "/orders/export?format=xlsx",
    "sales": "/orders/reports/sales?by=concert,day,section",
}


class Taken(msgspec.Struct):
    """What one of them took."""

    way: str
    seconds: float
    cpu_seconds: float
    peak_mib: float
    at_rest_mib: float
    bytes: int
    slowest_ping_ms: float


def order_of(number: int) -> Order:
    """One of the orders: paid, over two sections and a year."""
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=63 * number)
    id = f"order-{number:032x}"
    section = "stalls" if number % 3 else "balcony"
    seats = OrderSeats(
        concert_id="concert-1", quantity=2, section=section, reservation_id=id.replace("order", "reservation")
    )
    return Order(
        id=id,
        user_id=f"user-{number % 100_000}",
        status=Status.PAID,
        payment_method="card-ok",
        created_at=at,
        total=Money(9_000, "EUR"),
        expires_at=at + timedelta(minutes=10),
        has_contact=True,
        cancel_until=at + timedelta(days=100),
        payment=OrderPayment(status=PaymentStatus.COMPLETED, at=at, attempts=1),
        seats=seats,
    )


async def fill(folder: Path, orders: int) -> None:
    """A store with so many orders."""
    from cludale.adapters.sqlite import SqliteStore  # noqa: PLC0415 - only the child needs it

    store = SqliteStore(folder / "cludale.db", KINDS, CATALOGUE)
    await store.start()
    for start in range(0, orders, BATCH):
        batch = [order_of(number) for number in range(start, min(start + BATCH, orders))]
        await store.commit([Commit(ORDERS.partition(each.id), [ORDERS.put(each, 0)]) for each in batch])
    await store.close()
