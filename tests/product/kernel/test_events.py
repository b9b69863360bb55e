"""Events, their envelope and the catalogue."""

from datetime import UTC, datetime
from typing import ClassVar

import pytest

from cludale.kernel.events import Catalogue, Cause, Event, Topic, envelop

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class OrderNoted(Event, frozen=True, kw_only=True):
    order_id: str
    note: str = ""


class DoorOpened(Event, frozen=True, kw_only=True):
    subject_field: ClassVar[str] = "door"
    data_version: ClassVar[str] = "3"

    door: str


def test_an_envelope_says_what_happened_to_what_and_why() -> None:
    cause = Cause("event-1", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    envelope = envelop(OrderNoted(order_id="order-7"), id="event-2", source="orders", time=NOON, cause=cause)
    assert envelope.specversion == "1.0"
    assert envelope.type == "OrderNoted"
    assert envelope.source == "orders"
    assert envelope.subject == "order-7"
    assert envelope.correlationid == "order-7"
    assert envelope.causationid == "event-1"
    assert envelope.traceparent == cause.traceparent
    assert envelope.dataversion == "1"


def test_an_event_of_no_order_has_no_correlation() -> None:
    envelope = envelop(DoorOpened(door="north"), id="event-1", source="doors", time=NOON, cause=Cause())
    assert envelope.subject == "north"
    assert envelope.correlationid is None
    assert envelope.causationid is None
    assert envelope.dataversion == "3"


def test_an_event_causes_what_is_done_about_it_in_the_same_trace() -> None:
    first = envelop(OrderNoted(order_id="o"), id="event-1", source="orders", time=NOON, cause=Cause(None, "trace"))
    assert Cause.of(first) == Cause("event-1", "trace")


def test_the_catalogue_knows_the_topic_of_each_event() -> None:
    doors = Topic("door-events", "doors", (DoorOpened,))
    catalogue = Catalogue([Topic("order-events", "orders", (OrderNoted,)), doors])
    assert catalogue.topic_of("DoorOpened") is doors
    assert set(catalogue.types) == {"OrderNoted", "DoorOpened"}
    with pytest.raises(KeyError):
        catalogue.topic_of("Unheard")


def test_two_events_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="share a name"):
        Catalogue([Topic("a", "a", (OrderNoted,)), Topic("b", "b", (OrderNoted,))])
