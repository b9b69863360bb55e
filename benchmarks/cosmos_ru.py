"""What an order costs on Cosmos DB in request units, and where one section's ceiling is: computed, not measured there.

    python -m benchmarks.cosmos_ru --orders 400 --in-flight 100

Orders run through the real platform and its Cosmos DB adapter against the tests' double of the REST API, which writes
down every operation and its size. To those sizes the documented costs are applied (see PRICES). Sizes and numbers of
operations are measured; request units are computed from them; times say nothing and are not shown.
"""

import argparse
import asyncio
import logging
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.product.adapters.cosmos.double import KEY, CosmosDouble, Request, running_double

from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import SectionPlan
from cludale.services.orders.order import Order, OrderRequest, Status
from cludale.wiring.platform import Platform
from cludale.wiring.settings import Settings

PARTITION_RU = 10_000
"""Request units a second that one physical, and so one logical, partition has."""
SOURCE = "https://learn.microsoft.com/azure/cosmos-db/optimize-cost-reads-writes, read on 2026-11-22"
READ_1_KB, READ_100_KB = 1.0, 10.0
WRITE_1_KB, WRITE_100_KB = 5.0, 50.0
"""Documented for items of 1 KB and 100 KB; in between a straight line is taken. A delete is taken for a write."""
STRONG_READS = 2.0
"""With strong consistency a read costs so many times as much."""
QUERY = 2.8
"""A query that finds next to nothing, as a sweep does; a usual figure, not a documented one."""
CONCERT = "the-concert"


def write_units(size: int) -> float:
    """Request units of writing `size` bytes."""
    kilobytes = max(1.0, size / 1_024)
    return WRITE_1_KB + (kilobytes - 1) * (WRITE_100_KB - WRITE_1_KB) / 99


def read_units(size: int) -> float:
    """Request units of a point read of `size` bytes."""
    kilobytes = max(1.0, size / 1_024)
    return STRONG_READS * (READ_1_KB + (kilobytes - 1) * (READ_100_KB - READ_1_KB) / 99)


class Line(NamedTuple):
    """One kind of operation on one kind of document."""

    operation: str
    what: str
    times: int
    size: int
    units: float


def lines(requests: Sequence[Request]) -> list[Line]:
    """What was done, by operation and kind of document."""
    sizes: dict[tuple[str, str], list[int]] = defaultdict(list)
    for request in requests:
        if request.kind in {"batch", "create", "replace", "delete"}:
            for operation, id, size in request.operations:
                sizes[operation.lower(), id.partition("|")[0]].append(size)
        elif request.kind == "read":
            sizes["read", "records"].append(request.size)
    costs = {"read": read_units}
    return [
        Line(
            operation,
            what,
            len(each),
            sum(each) // len(each),
            sum(costs.get(operation, write_units)(size) for size in each),
        )
        for (operation, what), each in sorted(sizes.items(), key=lambda item: item[0][::-1])
    ]


async def run(orders: int, in_flight: int) -> tuple[CosmosDouble, list[Request]]:
    """Sell so many orders, and wait until every event is through; the requests of that."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_double() as double:
            platform = Platform(
                Settings(data_dir=Path(folder), cosmos_endpoint=double.endpoint, cosmos_key=KEY, sweep_seconds=5)
            )
            await platform.start()
            plan = SectionPlan(id="main", name="Main", total_seats=orders * 2, price=Money(4500, "EUR"))
            await platform.concerts.directory.schedule(
                Concert(
                    id=CONCERT,
                    artist="The Paper Lanterns",
                    date="2099-06-05",
                    venue="The Barn",
                    sections=(plan,),
                    on_sale_at=None,
                    max_per_order=8,
                ),
                Cause(),
            )
            await asyncio.sleep(1)
            double.is_recording = True
            await _sell(platform, orders, in_flight)
            await asyncio.sleep(1)
            double.is_recording = False
            await platform.stop()
            return double, double.requests


async def _sell(platform: Platform, orders: int, in_flight: int) -> None:
    room = asyncio.Semaphore(in_flight)

    async def one(number: int) -> None:
        async with room:
            wanted = OrderRequest(concert_id=CONCERT, user_id=f"user-{number}", quantity=2, email=None)
            order = await platform.orders.place(wanted, cause=Cause())
            settled: Order = await platform.orders.news.settled(order.id, wait_seconds=60)
            if settled.status is not Status.PAID:
                raise RuntimeError(f"{order.id} is {settled.status}")

    await asyncio.gather(*(one(number) for number in range(orders)))
    while platform.relay.lag:  # noqa: ASYNC110 - the relay tells nobody
        await asyncio.sleep(0.05)


def report(requests: Sequence[Request], orders: int) -> str:
    """The figures as tables in Markdown."""
    table = [
        "| operation | document | an order | bytes each | RU an order |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    found = lines(requests)
    for each in found:
        share, units = each.times / orders, each.units / orders
        table.append(f"| {each.operation} | `{each.what}` | {share:.2f} | {each.size:,} | {units:.1f} |")
    queries = sum(each.kind == "query" for each in requests)
    total = (sum(each.units for each in found) + queries * QUERY) / orders
    table.append(f"| query |  | {queries / orders:.2f} |  | {queries * QUERY / orders:.1f} |")
    table.append(f"| **all** |  |  |  | **{total:.0f}** |")
    hot = [each for each in requests if (each.partition or "").startswith(f"{CONCERT}/")]
    hot_units = sum(each.units for each in lines(hot)) / orders
    turns = sum(each.kind == "batch" for each in hot)
    log = sum(each.units for each in lines([each for each in requests if each.partition == "log"])) / orders
    requests_an_order = len(requests) / orders
    return "\n".join(
        [
            *table,
            "",
            f"- Requests an order: {requests_an_order:.1f}; batches of the section: {turns} for {orders} orders.",
            f"- The section's partition: {hot_units:.1f} RU an order, so at most "
            f"{PARTITION_RU / hot_units:,.0f} orders a second for one section by request units.",
            f"- Audit's partition: {log:.1f} RU an order, so at most {PARTITION_RU / log:,.0f} orders a second.",
        ]
    )


def main() -> None:
    """Run the orders and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=400)
    parser.add_argument("--in-flight", type=int, default=100)
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    _, requests = asyncio.run(run(given.orders, given.in_flight))
    print(f"{given.orders} orders, {given.in_flight} in flight; costs of {SOURCE}\n")
    print(report(requests, given.orders))


if __name__ == "__main__":
    main()
