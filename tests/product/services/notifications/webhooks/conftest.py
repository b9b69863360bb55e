"""Webhooks over a real store in a temporary file, with servers of organizers that a test decides."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.fakes import NOON, SEALS, CountingIds, ManualClock
from tests.product.services.notifications.conftest import CODEC, Messenger
from tests.seats import allocation

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.events import Cause, Envelope, Event, envelop
from cludale.kernel.money import Money
from cludale.kernel.principals import ALL_SCOPES, Principal, PrincipalKind
from cludale.ports.bus import Acknowledgement
from cludale.ports.bus import Delivery as BusDelivery
from cludale.ports.programme import ConcertDetails, ProgrammeUnreachable
from cludale.ports.records import Query
from cludale.ports.webhooks import AddressRefused, Answered, NotPosted
from cludale.services.manifest import WEBHOOK_SCHEDULE
from cludale.services.notifications.store import KINDS
from cludale.services.notifications.webhooks.deliveries import Delivery, DeliveryLimits
from cludale.services.notifications.webhooks.service import Asked, Made, Webhooks
from cludale.services.notifications.webhooks.signing import Scheme
from cludale.services.orders.events import OrderPaid

ACME = Principal(kind=PrincipalKind.KEY, id="key-acme", organizer="acme", scopes=ALL_SCOPES)
OTHER = Principal(kind=PrincipalKind.KEY, id="key-other", organizer="other", scopes=ALL_SCOPES)
DAY = 86_400.0


class Posted(NamedTuple):
    """What a server got."""

    url: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Servers:
    """A WebhookSender that keeps what it gets; `answers` says, by URL, with what status, None: not at all."""

    def __init__(self) -> None:
        self.got: list[Posted] = []
        self.answers: dict[str, int | None] = {}
        self.retry_after: float | None = None
        self.slow: dict[str, asyncio.Event] = {}
        self.at_once = self.most_at_once = 0
        self.then: Callable[[], None] = lambda: None

    def check(self, url: str) -> None:
        if "inside" in url:
            raise AddressRefused("must lead to a public address")

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if url in self.slow:
                await self.slow[url].wait()
            self.got.append(Posted(url, body, headers))
            self.then()
            status = self.answers.get(url, 204)
            if status is None:
                raise NotPosted("no connection")
            return Answered(status, self.retry_after)
        finally:
            self.at_once -= 1

    def to(self, url: str) -> list[Posted]:
        return [each for each in self.got if each.url == url]


class Concerts:
    """Whose concerts are."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    async def of(self, ids: Sequence[str]) -> Mapping[str, ConcertDetails]:
        self.asked += 1
        if self.away:
            raise ProgrammeUnreachable("concerts is away")
        owners = {"concert-1": "acme", "concert-2": "acme", "concert-9": "other"}
        return {id: ConcertDetails("The Larks", "2027-06-05", organizer=owners[id]) for id in ids if id in owners}


class Hooks:
    """A webhooks service and what is around it. A restart is a second `service` over the same store."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.clock = ManualClock()
        self.ids = CountingIds()
        self.servers = Servers()
        self.concerts = Concerts()
        self.mailer = Messenger()
        self.services: list[Webhooks] = []
        self._seed = 0
        self.start()

    def start(self) -> Webhooks:
        self.services.append(
            Webhooks(
                self.store,
                clock=self.clock,
                ids=self.ids,
                programme=self.concerts,
                sender=self.servers,
                mailer=self.mailer,
                seals=SEALS,
                random_bytes=self._random,
                limits=DeliveryLimits(WEBHOOK_SCHEDULE, 25, 1, stop_after=timedelta(days=5), keep=timedelta(days=30)),
                finish_seconds=0.01,
            )
        )
        return self.services[-1]

    def _random(self, count: int) -> bytes:
        self._seed += 1
        return bytes([self._seed]) * count

    @property
    def service(self) -> Webhooks:
        return self.services[-1]

    async def endpoint(
        self,
        url: str = "https://acme.example/hook",
        *types: str,
        by: Principal = ACME,
        concert: str | None = None,
        email: str | None = None,
    ) -> Made:
        asked = Asked(url, (Scheme.HMAC,), types, concert, None, email)
        return await self.service.create(by.organizer, asked, by=by.id)

    async def tell(self, *events: Envelope) -> list[Acknowledgement]:
        answers = await self.service.handle([BusDelivery(each, CODEC.encode(each), 1) for each in events])
        await self.quiet()
        return answers

    async def quiet(self) -> None:
        for _ in range(2_000):
            if not any(each.due.busy for each in self.services):
                return
            await asyncio.sleep(0.002)
        raise AssertionError("still posting")

    async def later(self, seconds: float) -> None:
        """So long after, once what was due is done."""
        self.clock.advance(seconds)
        await self.service.sweep()
        await self.quiet()

    async def all(self, by: Principal = ACME, **wanted: str) -> list[Delivery]:
        found, _ = await self.service.deliveries(
            by, webhook_id=wanted.get("webhook_id"), status=None, query=Query(limit=200)
        )
        return found


def paid(order: str = "order-1", concert: str = "concert-1", *, at: datetime = NOON, id: str = "") -> Envelope:
    event = OrderPaid(
        order_id=order,
        allocation=allocation(f"reservation-of-{order}", 2, section="main", concert_id=concert),
        total=Money(9000, "EUR"),
        reachable=False,
    )
    return wrapped(event, id or f"event-paid-{order}", at=at)


def wrapped(event: Event, id: str, *, at: datetime = NOON) -> Envelope:
    return envelop(event, id=id, source="orders", time=at, cause=Cause())


@pytest.fixture
async def hooks(tmp_path: Path) -> AsyncIterator[Hooks]:
    store = SqliteStore(tmp_path / "cludale.db", KINDS, CODEC)
    hooks = Hooks(store)
    yield hooks
    for each in hooks.services:
        await each.due.stop()
    await store.close()
