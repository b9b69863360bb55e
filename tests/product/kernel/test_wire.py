"""The wire codec: CloudEvents both ways, and everything that is none of ours named."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cludale.kernel.events import Catalogue, Cause, Event, Topic, envelop
from cludale.kernel.wire import Codec, Malformed

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class OrderNoted(Event, frozen=True, kw_only=True):
    order_id: str
    noted_at: datetime
    note: str | None = None


CODEC = Codec(Catalogue([Topic("order-events", "orders", (OrderNoted,))]))
GOOD: dict[str, Any] = {
    "specversion": "1.0",
    "id": "event-1",
    "type": "OrderNoted",
    "source": "orders",
    "subject": "order-1",
    "time": "2026-11-22T12:00:00Z",
    "datacontenttype": "application/json",
    "dataversion": "1",
    "data": {"orderId": "order-1", "notedAt": "2026-11-22T12:00:00Z", "note": None},
    "correlationid": "order-1",
}


def test_an_event_on_the_wire_is_a_cloudevent() -> None:
    event = OrderNoted(order_id="order-1", noted_at=NOON)
    envelope = envelop(event, id="event-1", source="orders", time=NOON, cause=Cause())
    assert json.loads(CODEC.encode(envelope)) == GOOD


def test_a_fact_that_is_told_again_says_so_on_the_wire_and_no_other_does() -> None:
    event = OrderNoted(order_id="order-1", noted_at=NOON)
    again = envelop(event, id="event-1", source="orders", time=NOON, cause=Cause(), repeated=True)
    assert json.loads(CODEC.encode(again)) == {**GOOD, "repeated": True}
    assert CODEC.decode(CODEC.encode(again)) == again


@given(
    note=st.text(st.characters(codec="utf-8")),
    trace=st.none() | st.just("00-ab-cd-01"),
    cause=st.none() | st.just("event-0"),
)
def test_what_is_encoded_is_decoded(note: str, trace: str | None, cause: str | None) -> None:
    event = OrderNoted(order_id="order-1", noted_at=NOON, note=note)
    envelope = envelop(event, id="event-1", source="orders", time=NOON, cause=Cause(cause, trace))
    assert CODEC.decode(CODEC.encode(envelope)) == envelope


def test_attributes_that_only_others_use_are_ignored() -> None:
    body = GOOD | {"topic": "order-events", "pubsubname": "pubsub", "data": GOOD["data"] | {"later": 1}}
    assert CODEC.decode(json.dumps(body)).data.order_id == "order-1"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"type": "OrderForgotten"}, "OrderForgotten"),
        ({"specversion": "0.3"}, "specversion"),
        ({"data": {"notedAt": "2026-11-22T12:00:00Z"}}, "orderId"),
        ({"data": {"orderId": 7, "notedAt": "2026-11-22T12:00:00Z"}}, "orderId"),
        ({"data": "x"}, "object"),
        ({"time": "noon"}, "time"),
        ({"id": None}, "id"),
    ],
)
def test_what_is_no_event_of_ours_is_named(change: dict[str, Any], why: str) -> None:
    with pytest.raises(Malformed, match=why):
        CODEC.decode(json.dumps(GOOD | change))


@pytest.mark.parametrize("version", ["1", "1.1", "1.27"])
def test_a_version_with_more_fields_is_read(version: str) -> None:
    body = GOOD | {"dataversion": version, "data": GOOD["data"] | {"later": 1}}
    assert CODEC.decode(json.dumps(body)).data == OrderNoted(order_id="order-1", noted_at=NOON)


@pytest.mark.parametrize("version", ["2", "2.1", "", "11"])
def test_a_version_that_is_not_known_here_is_named_and_not_guessed_at(version: str) -> None:
    with pytest.raises(Malformed, match=f"OrderNoted of version '{version}', and only '1' is known here"):
        CODEC.decode(json.dumps(GOOD | {"dataversion": version}))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"data":' + b"[" * 100_000, b'{"specversion":"1.0"}']
)
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        CODEC.decode(body)


@given(body=st.binary(max_size=200))
def test_no_bytes_break_the_codec(body: bytes) -> None:
    with pytest.raises(Malformed):
        CODEC.decode(body)
