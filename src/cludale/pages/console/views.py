"""What the console reads of the API's answers: as much as its pages show. A reader passes over other fields."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from cludale.kernel.money import Money

SERVICES = ("orders", "concerts", "payments", "notifications", "tickets", "audit")
"""By the first segments of their paths, in the order in which an order meets them."""


def ordered(services: Iterable[str]) -> tuple[str, ...]:
    """These services, those first that an order meets first; what nobody foresaw comes last."""
    return tuple(sorted(services, key=lambda each: SERVICES.index(each) if each in SERVICES else len(SERVICES)))


class Series(msgspec.Struct, frozen=True):
    """One figure, step by step."""

    name: str
    labels: dict[str, str]
    values: list[float | None]


class Trouble(msgspec.Struct, frozen=True):
    """Something that a process needs, and that does not work."""

    part: str
    detail: str
    since: datetime


class Figures(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The last minutes of one process of a service."""

    service: str
    instance: str
    step_seconds: int
    until: datetime | None
    series: list[Series]
    troubles: list[Trouble] = []


class Letter(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An event that a service could not handle."""

    id: str
    consumer: str
    event_type: str
    event_id: str
    reason: str
    attempts: int
    buried_at: datetime
    state: str
    body: str

    @property
    def event(self) -> str:
        """The event as indented JSON; a body that is not JSON is returned as it came."""
        try:
            return msgspec.json.format(self.body, indent=2)
        except msgspec.MsgspecError:
            return self.body

    @property
    def order_id(self) -> str:
        """The order that the event is about; empty: none."""
        try:
            found = msgspec.json.decode(self.body, type=dict[str, Any]).get("correlationid")
        except msgspec.MsgspecError:
            return ""
        return found if isinstance(found, str) and found.startswith("order-") else ""


class Letters(msgspec.Struct, frozen=True):
    """A page of them."""

    items: list[Letter]
    next: str | None = None


class Retried(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of delivering one again."""

    id: str
    event_type: str
    event_id: str
    answer: str
    state: str


class AllRetried(msgspec.Struct, frozen=True):
    """What came of each."""

    items: list[Retried]


class LogEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An entry of the log."""

    sequence: int
    event_id: str
    event_type: str
    timestamp: datetime
    source: str
    subject: str
    correlation_id: str | None = None
    causation_id: str | None = None
    received_at: datetime
    late: bool = False
    repeated: bool = False
    payload: dict[str, Any]

    @property
    def service(self) -> str:
        """Who published it."""
        return self.source.rpartition("/")[2]

    @property
    def order_id(self) -> str:
        """The order that it is about; empty: none."""
        return self._text("orderId")

    @property
    def concert_id(self) -> str:
        """The concert that it is about; empty: none."""
        return self._text("concertId")

    @property
    def text(self) -> str:
        """The event's data, as the log has it. It says of no buyer who they are."""
        return msgspec.json.format(msgspec.json.encode({"id": self.event_id, **self.payload}), indent=2).decode()

    def _text(self, name: str) -> str:
        found = self.payload.get(name)
        return found if isinstance(found, str) else ""


class Entries(msgspec.Struct, frozen=True):
    """A page of the log."""

    items: list[LogEntry]
    next: str | None = None


class Chain(msgspec.Struct, frozen=True, rename="camel"):
    """The end of the chain of hashes."""

    events: int
    head: str
    waiting: int
    segment: int
    segment_since: datetime | None


class Broken(msgspec.Struct, frozen=True):
    """Where the chain does not hold."""

    sequence: int
    what: str


class Checked(msgspec.Struct, frozen=True, rename="camel"):
    """How far a check of the chain is."""

    ok: bool
    done: int
    of: int
    head: str
    late: int
    waiting: int
    broken: Broken | None = None
    next: str | None = None


class Section(msgspec.Struct, frozen=True, rename="camel"):
    """A section as it stood."""

    id: str
    name: str
    total_seats: int
    held_seats: int
    sold_seats: int

    @property
    def left(self) -> int:
        """Seats that could be had."""
        return self.total_seats - self.held_seats - self.sold_seats


class Point(msgspec.Struct, frozen=True):
    """A moment of a sale."""

    at: datetime
    sold: int
    held: int


class Sale(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A concert's sale as it stood."""

    concert_id: str
    at: datetime
    first: datetime | None
    last: datetime | None
    complete: bool
    events: int
    sections: list[Section]
    orders: dict[str, int]
    taken: list[Money]
    refunded: list[Money]
    curve: list[Point]


class Concert(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A concert, as far as it is chosen from a list."""

    id: str
    artist: str
    title: str | None = None
    date: str

    @property
    def name(self) -> str:
        """What it is called."""
        return self.title or self.artist


class Concerts(msgspec.Struct, frozen=True):
    """A page of concerts."""

    items: list[Concert]
    next: str | None = None
