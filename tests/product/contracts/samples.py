"""The kinds, records and events that the contract suites use, and what a store under test is."""

from datetime import UTC, datetime
from typing import Protocol

from cludale.kernel.events import Catalogue, Cause, Envelope, Event, Topic, envelop
from cludale.kernel.wire import Codec
from cludale.ports.outbox import Outbox
from cludale.ports.records import Commit, IndexValue, Key, Kind, Put, Records

ORDER = Kind("orders", "order", ("concertId", "status", "dueAt"))
PAYMENT = Kind("payments", "payment", ("orderId",))
NOTE = Kind("orders", "note")
LINE = Kind("audit", "line", ("concertId", "status", "dueAt"), ("dueAt",), is_append_only=True)
KINDS = (ORDER, PAYMENT, NOTE, LINE)

PARTITION = "concert-1"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class OrderNoted(Event, frozen=True):
    """A fact of orders, for tests."""

    order_id: str
    note: str = ""


class PaymentNoted(Event, frozen=True):
    """A fact of payments, for tests."""

    order_id: str


CODEC = Codec(
    Catalogue([Topic("order-events", "orders", (OrderNoted,)), Topic("payment-events", "payments", (PaymentNoted,))])
)


class Store(Records, Outbox, Protocol):
    """What the suites test: both ports over one store."""

    async def close(self) -> None:
        """Write what waits and let go."""
        ...


class Place(Protocol):
    """Where a store lives on while it is closed. An adapter joins the suites by giving one (see conftest)."""

    async def open(self) -> Store:
        """Open the store of this place."""
        ...


def order(id: str, expected: int = 0, body: bytes = b"{}", **index: IndexValue) -> Put:
    """A write of an order; `index` by field."""
    return Put(ORDER, id, body, expected, tuple(index.get(field) for field in ORDER.indexed))


def line(id: str, body: bytes = b"{}", *, due_at: str = "2026", **index: IndexValue) -> Put:
    """A record that is written once; `index` by field."""
    return Put(LINE, id, body, 0, (index.get("concertId"), index.get("status"), due_at))


def of(*puts: Put, events: tuple[Envelope, ...] = ()) -> Commit:
    """A commit in the suites' partition."""
    return Commit(PARTITION, puts, events)


def key(id: str) -> Key:
    """Where `of` puts a record."""
    return Key(PARTITION, id)


def noted(id: str, note: str = "") -> Envelope:
    """An event with this id."""
    return envelop(OrderNoted(order_id="order-1", note=note), id=id, source="orders", time=NOON, cause=Cause())
