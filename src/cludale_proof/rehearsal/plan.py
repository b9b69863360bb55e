"""What is rehearsed and what came of it. Values only."""

import ssl
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from cludale_proof.rehearsal.latencies import Latencies
from cludale_proof.rehearsal.load import Tally


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An on-sale to rehearse."""

    url: str
    organizer_key: str
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    """Said with every request: which version is meant, for example."""
    trust: ssl.SSLContext | None = None
    """Of buyers and organizer in who shows a certificate there; None: whom everybody trusts."""
    seats: int
    """How many seats the concert gets that is made for the rehearsal."""
    seat_plan: "SeatPlan | None" = None
    """Of that concert, where its seats have numbers; None: they have none."""
    naming: float = 0.0
    """The share of the buyers who name the seats that they want, where they see some; the others want the best."""
    buyers: int
    connections: int
    """How many buyers are served at once, at most."""
    rate: float | None = None
    """Buyers a second, arriving at random. None: each connection brings the next buyer as soon as it can."""
    concert_id: str | None = None
    """Rehearse with this concert instead of making one. Nobody else should be buying meanwhile."""
    section: str | None = None
    most_tickets: int = 1
    """Each buyer wants 1 to so many tickets."""
    payment_methods: dict[str, int] = msgspec.field(default_factory=lambda: {"card-ok": 1})
    """How buyers pay, with the weight of each method."""
    with_keys: bool = True
    """Each order is sent with an `Idempotency-Key` of its own, as clients are told to."""
    timeout_seconds: float = 10.0
    """How long a buyer waits for an answer."""
    settle_seconds: float = 120.0
    """How long accepted orders may take to their end state, and again their events to the audit."""
    seed: int = 1
    """The seed of all chance: of the buyers' arrivals and requests, and of the evening."""
    doors: int = 0
    """How many doors let in all who bought a ticket, once the on-sale is over; 0: there is no evening."""
    offline_doors: int = 0
    """Of these so many have no network."""
    shown_again: float = 0.05
    """The share of the codes that are shown twice."""


class SeatPlan(msgspec.Struct, frozen=True):
    """A seating plan as it is sent, and its zones, each of which becomes a section."""

    said: object
    """pretix's JSON as an object, or CSV as a text."""
    zones: Sequence[str]


class Check(msgspec.Struct, frozen=True):
    """Something that has to hold, and what was found."""

    name: str
    ok: bool
    found: str


class Latency(msgspec.Struct, frozen=True, rename="camel"):
    """How long buyers waited for their answer, in milliseconds; None if no one got one."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    largest_ms: float | None


class DoorCounts(msgspec.Struct, frozen=True):
    """The counts of `GET /tickets/admissions` that are checked."""

    admitted: int
    inside: int


class EveningSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What an evening at the door was, and what is said of it afterwards; tickets by their ids."""

    good: AbstractSet[str]
    void: AbstractSet[str]
    """Of orders that were cancelled before the doors opened."""
    forged: int
    """Codes that were shown and that nobody signed."""
    shown_online: Mapping[str, int]
    """How often each was shown at a door with network."""
    let_in_online: Mapping[str, int]
    """How often it was let in there."""
    let_in_alone: Mapping[str, int]
    """And at doors without."""
    counts: DoorCounts
    double_entries: Mapping[str, int]
    """How often each is named as one with which two were let in."""
    audited: int
    """Entries of which the audit tells."""


class Evening(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of an evening at the door."""

    showings: int
    """Codes that were shown."""
    said: dict[str, int]
    """What doors answered, how often."""
    errors: dict[str, int]
    seconds: float
    """From the first code at a door with network to the last answer."""
    answers_per_second: float
    latency: Latency
    seen: EveningSeen


class RehearsalOutcome(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of a rehearsal."""

    concert_id: str
    with_keys: bool
    """Was each order sent with an `Idempotency-Key`?"""
    buyers: int
    """How many came: fewer than planned if the rehearsal was interrupted."""
    accepted: int
    """Buyers who got an order (201, 202)."""
    refused: dict[str, int]
    """Buyers who were told no (409), by the problem's name."""
    turned_away: int
    """Buyers who were asked to come back (429, 503)."""
    errors: dict[str, int]
    """Buyers who got anything else, or nothing, by what it was."""
    seats_sold: int
    orders: dict[str, int]
    """The concert's orders at the end, by status."""
    seconds: float
    """From the first buyer's request to the last one's answer."""
    settled_seconds: float | None
    """From the first buyer's request until every order was seen at its end state; None if not all came to one."""
    answers_per_second: float
    orders_per_second: float | None
    """Accepted orders, over `settled_seconds`."""
    latency: Latency
    load_cpu_ms_per_buyer: float
    """CPU that this process took while the buyers came, drawing the progress included."""
    evening: Evening | None = None
    checks: list[Check]

    @property
    def ok(self) -> bool:
        """Does everything hold?"""
        return all(check.ok for check in self.checks)


def latency_of(latencies: Latencies) -> Latency:
    """In milliseconds."""

    def milliseconds(share: float) -> float | None:
        seconds = latencies.quantile(share)
        return None if seconds is None else round(seconds * 1000, 3)

    return Latency(milliseconds(0.50), milliseconds(0.95), milliseconds(0.99), milliseconds(1.0))


class Reporter(Protocol):
    """Is told how the rehearsal gets on, several times a second."""

    def opened(self, concert_id: str, plan: Plan) -> None:
        """The on-sale of this concert begins."""
        ...

    def selling(self, tally: Tally, refused: int, accepted: int) -> None:
        """What was sold, refused and accepted so far."""
        ...

    def settling(self, settled: int, accepted: int) -> None:
        """So many of the accepted orders are at an end state."""
        ...

    def auditing(self, events_read: int) -> None:
        """So many of the concert's events were read from the audit."""
        ...

    def letting_in(self, shown: int, showings: int) -> None:
        """So many codes were shown at doors with network."""
        ...


class Silent:
    """A reporter that says nothing."""

    def opened(self, concert_id: str, plan: Plan) -> None:
        """Nothing."""

    def selling(self, tally: Tally, refused: int, accepted: int) -> None:
        """Nothing."""

    def settling(self, settled: int, accepted: int) -> None:
        """Nothing."""

    def auditing(self, events_read: int) -> None:
        """Nothing."""

    def letting_in(self, shown: int, showings: int) -> None:
        """Nothing."""


class CannotRehearse(Exception):
    """The rehearsal could not be held or not be judged; the message says why and what to do."""


class Concert(msgspec.Struct, frozen=True, rename="camel"):
    """What `GET /concerts/{id}` says, as far as it matters here."""

    id: str
    total_seats: int
    available_seats: int
    held_seats: int
    sold_seats: int
    max_per_order: int
    sections: "Sequence[Section]"
    seat_plan: str | None = None


class Section(msgspec.Struct, frozen=True, rename="camel"):
    """A section of a concert."""

    id: str
    total_seats: int
    available_seats: int


class OrderPayment(msgspec.Struct, frozen=True, rename="camel"):
    """What an order shows of its payment, as far as it matters here."""

    status: str


class Seat(msgspec.Struct, frozen=True):
    """A seat with a number."""

    id: str


class Order(msgspec.Struct, frozen=True, rename="camel"):
    """What `GET /orders` says of one order, as far as it matters here."""

    id: str
    status: str
    quantity: int
    payment: OrderPayment | None = None
    user_id: str = ""
    section: str | None = None
    seats: Sequence[Seat] = ()
    """Which, where they have numbers."""


class AuditedEvent(msgspec.Struct, frozen=True, rename="camel"):
    """What `GET /audit/events` says of one event, as far as it matters here."""

    sequence: int
    event_id: str
    event_type: str
    correlation_id: str | None
    causation_id: str | None
    payload: "Payload"
    late: bool = False
    """Recorded without its cause, and marked so."""
    repeated: bool = False
    """A fact that was told before, told again."""
    timestamp: datetime = datetime.min.replace(tzinfo=UTC)


class Payload(msgspec.Struct, frozen=True, rename="camel"):
    """The parts of events' data that are counted."""

    quantity: int = 0
    kind: str | None = None
    section: str | None = None
    reservation_id: str | None = None
    expires_at: datetime | None = None
    numbered_seats: Sequence[Seat] = ()
