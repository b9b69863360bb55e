"""Notifications over a real store in a temporary file, with messengers that a test decides."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest
from tests.fakes import CountingIds, ManualClock

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.backoff import Backoff
from cludale.kernel.events import Event
from cludale.kernel.wire import Codec
from cludale.ports.contacts import Contact, ContactsUnreachable
from cludale.ports.messengers import HandedTo, Message, NotSent, Trouble
from cludale.ports.programme import ConcertDetails, ProgrammeUnreachable
from cludale.ports.records import Query, Records
from cludale.services.catalogue import CATALOGUE
from cludale.services.notifications.domain import Notification
from cludale.services.notifications.due import SendingLimits
from cludale.services.notifications.events import NotificationSent
from cludale.services.notifications.letters import Letters
from cludale.services.notifications.service import Notifications
from cludale.services.notifications.store import KINDS

CODEC = Codec(CATALOGUE)
LETTERS = Letters(
    sender="The Box Office <tickets@example.com>", link=lambda id: f"https://t.example.com/shop/orders/{id}?key=k"
)


class AddressBook:
    """Contacts that a test knows."""

    def __init__(self) -> None:
        self.known: dict[str, Contact] = {}
        self.away = False
        self.asked: list[Sequence[str]] = []

    async def of(self, order_ids: Sequence[str]) -> Mapping[str, Contact]:
        self.asked.append(order_ids)
        if self.away:
            raise ContactsUnreachable("orders is away")
        return {order: self.known[order] for order in order_ids if order in self.known}


class Brochure:
    """Concerts that a test knows."""

    def __init__(self) -> None:
        self.known = {
            "concert-1": ConcertDetails(
                artist="Coldplay",
                date="2027-06-05T22:30:00-04:00",
                venue="Waldbühne",
                sections={"main": "Main floor"},
            )
        }
        self.away = False
        self.asked: list[Sequence[str]] = []

    async def of(self, concert_ids: Sequence[str]) -> Mapping[str, ConcertDetails]:
        self.asked.append(concert_ids)
        if self.away:
            raise ProgrammeUnreachable("concerts is away")
        return {concert: self.known[concert] for concert in concert_ids if concert in self.known}


class Messenger:
    """A Mailer and TextMessenger that keeps what it sends, or does what `then` says first."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.tried: list[str] = []
        self.then: Callable[[Message], Awaitable[None]] | None = None
        self.at_once = self.most_at_once = 0
        self.hands_to = HandedTo.SERVER

    async def send(self, message: Message) -> HandedTo:
        self.tried.append(message.id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.then is not None:
                await self.then(message)
            self.sent.append(message)
            return self.hands_to
        finally:
            self.at_once -= 1

    async def has_sent(self, count: int) -> None:
        """Return when so many messages were sent; they have two seconds for that."""
        for _ in range(400):
            if len(self.sent) >= count:
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"{len(self.sent)} of {count} messages were sent")

    def refuses(self, trouble: Trouble) -> None:
        async def refuse(message: Message) -> None:
            raise NotSent("550 no" if trouble is Trouble.REFUSED else "451 not now", trouble)

        self.then = refuse

    def takes_seconds(self, seconds: float) -> None:
        async def wait(message: Message) -> None:
            await asyncio.sleep(seconds)

        self.then = wait


class World:
    """A notifications service and what is around it. A restart is a second `notifications` over the same store."""

    def __init__(self, records: SqliteStore) -> None:
        self.records = records
        self.clock = ManualClock()
        self.ids = CountingIds()
        self.contacts = AddressBook()
        self.programme = Brochure()
        self.mailer = Messenger()
        self.texts = Messenger()
        self.services: list[Notifications] = []

    def notifications(
        self,
        *,
        records: Records | None = None,
        try_seconds: float = 3 * 86_400,
        at_once: int = 8,
        send_seconds: float = 1,
        finish_seconds: float = 0.01,
        patience: int = 1,
    ) -> Notifications:
        self.services.append(
            Notifications(
                records or self.records,
                clock=self.clock,
                ids=self.ids,
                contacts=self.contacts,
                programme=self.programme,
                mailer=self.mailer,
                texts=self.texts,
                letters=LETTERS,
                limits=SendingLimits(1, send_seconds, try_seconds, at_once),
                backoff=Backoff(first_seconds=10, max_seconds=60),
                patience=patience,
                finish_seconds=finish_seconds,
            )
        )
        return self.services[-1]

    async def stored(self) -> dict[str, Notification]:
        found, _ = await self.services[-1].find(Query(limit=1000))
        return {each.id: each for each in found}

    async def events(self) -> list[Event]:
        return [CODEC.decode(entry.body).data for entry in await self.records.pending(0, 1000)]

    async def published(self) -> list[NotificationSent]:
        return [each for each in await self.events() if isinstance(each, NotificationSent)]

    async def settled(self) -> dict[str, Notification]:
        """The notifications, once nothing is being sent and nothing known to be due is left."""
        for _ in range(500):
            if not any(service.due.busy for service in self.services):
                return await self.stored()
            await asyncio.sleep(0.005)
        raise AssertionError("still sending")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = SqliteStore(tmp_path / "cludale.db", KINDS, CODEC)
    world = World(store)
    yield world
    for service in world.services:
        await service.due.stop()
    await store.close()
