"""A small season over the tests' double of Cosmos DB: real services sell, and every document is written down.

Numbers of documents and their sizes are measured. Request units are computed from them, as in benchmarks/cosmos_ru.py.
"""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from benchmarks.cosmos_ru import QUERY, read_units, write_units
from tests.product.adapters.cosmos.double import KEY, CosmosDouble, Request, running_double

from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.services.audit.store import Entry
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import SectionPlan
from cludale.services.orders.events import CancelReason
from cludale.services.orders.order import OrderRequest, Status
from cludale.wiring.platform import Platform
from cludale.wiring.settings import Settings

HOLD_SECONDS = 20
REST_SECONDS = 60.0
"""How long the last orders may take to come to their end."""
CONCERTS = 2
IN_FLIGHT = 100
DECLINED, CANCELLED = 0.10, 0.05
"""Shares of orders whose card is declined and whose hold ends, and of those that are paid, cancelled and refunded.
Assumed."""


class Growth(NamedTuple):
    """What an order leaves in one kind of document, on average."""

    documents: float
    size: float
    """Bytes of their bodies together."""


class Measured(NamedTuple):
    """What a season of `orders` came to."""

    orders: int
    growth: Mapping[str, Growth]
    """By kind of document: `audit.event`, `orders.order`."""
    units: Mapping[str, float]
    """Request units an order, by container."""
    log_units: float
    """Those of the log's partition."""
    section_units: float
    """Those of a section's partition, for an order in it."""
    section: Growth
    """What an order leaves in a section's partition."""
    events: Sequence[bytes]
    """Those in the log, in its order."""


async def measure(orders: int, *, hold_seconds: int = HOLD_SECONDS) -> Measured:
    """Sell so many orders and wait until every event is through; longer by a hold and some seconds.

    Nobody may take longer to pay than a hold.
    """
    with tempfile.TemporaryDirectory() as folder:
        async with running_double() as double:
            settings = Settings(
                data_dir=Path(folder),
                cosmos_endpoint=double.endpoint,
                cosmos_key=KEY,
                hold_seconds=hold_seconds,
                sweep_seconds=5,
            )
            platform = Platform(settings)
            await platform.start()
            try:
                for number in range(CONCERTS):
                    await platform.concerts.directory.schedule(_concert(number, orders * 2), Cause())
                await asyncio.sleep(1)
                double.is_recording = True
                ids = await _sell(platform, orders)
                await asyncio.sleep(hold_seconds)  # of those who did not pay
                await _come_to_rest(platform, ids)
                double.is_recording = False
            finally:
                await platform.stop()
            return _reckoned(double.requests, orders)._replace(events=_events(double))


def _concert(number: int, seats: int) -> Concert:
    return Concert(
        id=f"concert-{number}",
        artist="The Paper Lanterns",
        date="2099-06-05",
        venue="The Barn",
        sections=(SectionPlan(id="main", name="Main", total_seats=seats, price=Money(4500, "EUR")),),
        on_sale_at=None,
        max_per_order=8,
    )


def _shares(orders: int) -> tuple[int, int]:
    """How many are declined, and how many cancelled: the first of them, and those after."""
    return round(orders * DECLINED), round(orders * CANCELLED)


async def _sell(platform: Platform, orders: int) -> Sequence[str]:
    room = asyncio.Semaphore(IN_FLIGHT)
    declined, cancelled = _shares(orders)

    async def one(number: int) -> str:
        is_declined, is_cancelled = number < declined, declined <= number < declined + cancelled
        wanted = OrderRequest(
            concert_id=f"concert-{number % CONCERTS}",
            user_id=f"user-{number}",
            quantity=2,
            payment_method="card-declined" if is_declined else "card-ok",
            email=f"user-{number}@example.com",
        )
        async with room:
            order = await platform.orders.place(wanted, cause=Cause())
            if not is_declined:
                order = await platform.orders.news.settled(order.id, wait_seconds=60)
            if is_cancelled:
                order = await platform.orders.cancel(order.id, CancelReason.BUYER, Cause())
        return order.id

    return await asyncio.gather(*(one(number) for number in range(orders)))


async def _come_to_rest(platform: Platform, ids: Sequence[str]) -> None:
    """Wait until every order is as it was meant, and everyone has heard everything."""
    declined, cancelled = _shares(len(ids))
    deadline = asyncio.get_running_loop().time() + REST_SECONDS
    for number, id in enumerate(ids):
        meant = Status.CANCELLED if number < declined + cancelled else Status.PAID
        while (status := (await platform.orders.news.settled(id, wait_seconds=1)).status) is not meant:
            if asyncio.get_running_loop().time() > deadline:
                raise RuntimeError(f"{id} is {status}")
            await asyncio.sleep(0.5)
    while platform.relay.lag:  # noqa: ASYNC110 - the relay tells nobody
        await asyncio.sleep(0.5)
    await asyncio.sleep(5)  # what was heard last is handled, and refunded


def _reckoned(requests: Sequence[Request], orders: int) -> Measured:
    units: dict[str, float] = {}
    for service, request in _by_service(requests):
        units[service] = units.get(service, 0.0) + _units(request) / orders
    log = [each for each in requests if (each.partition or "") == "log"]
    section = [each for each in requests if "/" in (each.partition or "")]
    kept = _kept(section, orders)
    return Measured(
        orders,
        _kept(requests, orders),
        units,
        sum(map(_units, log)) / orders,
        sum(map(_units, section)) / orders,
        Growth(sum(each.documents for each in kept.values()), sum(each.size for each in kept.values())),
        (),
    )


def _events(double: CosmosDouble) -> list[bytes]:
    documents = [each for name in double.databases for each in _documents(double, name)]
    entries = [msgspec.json.decode(each["body"], type=Entry) for each in documents if each["kind"] == "audit.event"]
    return [bytes(entry.event) for entry in sorted(entries, key=lambda entry: entry.sequence)]


def _documents(double: CosmosDouble, database: str) -> list[dict[str, Any]]:
    return [each for held in double.databases[database].values() for each in held.documents if "kind" in each]


def _by_service(requests: Sequence[Request]) -> Iterator[tuple[str, Request]]:
    """The requests with the service whose container they would go to; all services share one container here.

    Two services may have a partition of the same name. So a request is told by its ids; one that takes published events
    away by who wrote them, and a query by who wrote in its partition last.
    """
    of_outbox: dict[tuple[str | None, str], str] = {}
    wrote: dict[str | None, str] = {}
    for request in requests:
        ids = [id for _, id, _ in request.operations] or ([request.text] if request.kind == "read" else [])
        service = next(filter(None, map(_service, ids)), None)
        for id in ids:
            if id.startswith("outbox|") and service is not None:
                of_outbox[request.partition, id] = service
        if service is None and ids:
            service = of_outbox.get((request.partition, ids[0]))
        elif service is None:
            service = wrote.get(request.partition)
        if service is not None:
            wrote[request.partition] = service
            yield service, request


def _service(id: str) -> str | None:
    """Whose document this is, where its id tells: `orders.order|…` of a record."""
    kind = id.partition("|")[0]
    owner, dot, _ = kind.partition(".")
    return {"provider": "simulated-provider"}.get(owner, owner) if dot else None


def _units(request: Request) -> float:
    if request.kind == "read":
        return read_units(request.size)
    if request.kind == "query":
        return QUERY
    return sum(write_units(size) for _, _, size in request.operations)


def _kept(requests: Sequence[Request], orders: int) -> dict[str, Growth]:
    """What stays of an order, by kind: each document as large as it was written last; nothing of the outbox."""
    sizes: dict[tuple[str, str], int] = {}
    for request in requests:
        for operation, id, size in request.operations:
            place = (request.partition or "", id)
            if operation.lower() == "delete":
                sizes.pop(place, None)
            else:
                sizes[place] = size
    kept: dict[str, Growth] = {}
    for (_, id), size in sizes.items():
        kind = id.partition("|")[0]
        if kind in {"outbox", "lease", "audit.head", "concerts.section", "payments.reconciliation"}:
            continue
        before = kept.get(kind, Growth(0.0, 0.0))
        kept[kind] = Growth(before.documents + 1 / orders, before.size + size / orders)
    return kept
