"""The log: everything, once, in order, provably unchanged; told again, it changes nothing."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.proof.journeys.box_office import BoxOffice, Json, fresh, problem


@pytest.fixture(scope="module")
def concert(office: BoxOffice) -> str:
    id: str = office.put_on(seats=20)["id"]
    return id


@pytest.fixture(scope="module")
def paid(office: BoxOffice, concert: str) -> Json:
    order = office.buy(concert)
    office.end(order, "Paid")
    office.until(lambda: office.story(order, "OrderPaid"), lambda story: len(story) == 8)
    return order


@pytest.fixture(scope="module")
def refunded(office: BoxOffice, concert: str) -> Json:
    order = office.buy(concert)
    office.end(order, "Paid")
    office.story(order, "TicketIssued")
    office.cancel(order)
    office.told(order, "confirmation", "cancellation")
    office.until(lambda: office.story(order, "PaymentRefunded"), lambda story: len(story) == 13)
    return order


def replay(office: BoxOffice, **body: Any) -> Json:
    answer = office.http.post("/audit/replay", json=body, headers=office.organizer)
    assert answer.status_code == 202, answer.text
    delivered: Json = answer.json()
    return delivered


def test_events_are_found_by_type_order_and_concert(office: BoxOffice, concert: str, paid: Json) -> None:
    by_order = office.listed("/audit/events", orderId=paid["id"])
    assert len(by_order) == 8
    assert {event["correlationId"] for event in by_order} == {paid["id"]}
    (sold,) = office.listed("/audit/events", type="SeatsSold", orderId=paid["id"])
    assert sold["payload"]["quantity"] == 2
    (scheduled,) = office.listed("/audit/events", type="ConcertScheduled", concertId=concert)
    assert scheduled["subject"] == concert
    assert office.listed("/audit/events", type="Unheard") == []
    assert office.listed("/audit/events", orderId=fresh("order")) == []


def test_events_are_found_by_time(office: BoxOffice, paid: Json) -> None:
    story = office.listed("/audit/events", orderId=paid["id"])
    times = sorted(datetime.fromisoformat(event["timestamp"]) for event in story)
    middle = times[3]
    before = office.listed("/audit/events", orderId=paid["id"], until=middle.isoformat())
    since = office.listed("/audit/events", orderId=paid["id"], since=middle.isoformat())
    assert len(before) + len(since) == 8
    assert all(datetime.fromisoformat(event["timestamp"]) < middle for event in before)
    assert (
        office.listed("/audit/events", orderId=paid["id"], since=(times[-1] + timedelta(seconds=1)).isoformat()) == []
    )


def test_the_log_is_numbered_without_a_gap(office: BoxOffice, paid: Json) -> None:
    events = office.listed("/audit/events", limit=200)
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert len({event["eventId"] for event in events}) == len(events)


def test_the_chain_verifies_and_its_head_is_the_last_event(office: BoxOffice, paid: Json) -> None:
    office.quiet()
    verdict = office.get("/audit/verify")
    last = office.listed("/audit/events", limit=200)[-1]
    assert verdict["ok"] is True
    assert (verdict["events"], verdict["head"]) == (last["sequence"], last["hash"])


def test_a_story_has_its_causes_before_their_effects(office: BoxOffice, refunded: Json) -> None:
    story = office.story(refunded, "PaymentRefunded")
    assert len(story) == 13
    place = {event["eventId"]: i for i, event in enumerate(story)}
    for i, event in enumerate(story):
        assert place.get(event["causationId"], -1) < i


def test_a_story_of_nothing_is_not_found(office: BoxOffice) -> None:
    answer = office.http.get(f"/audit/orders/{fresh('order')}", headers=office.organizer)
    problem(answer, 404, "not-found")


@pytest.mark.parametrize("which", ["paid", "refunded"])
def test_events_delivered_again_change_nothing(
    office: BoxOffice, concert: str, which: str, request: pytest.FixtureRequest
) -> None:
    order: Json = request.getfixturevalue(which)
    office.quiet()

    def everything() -> list[Any]:
        return [
            office.get("/audit/verify"),
            office.counts(concert),
            office.look(order),
            office.payment(order),
            office.listed("/notifications", orderId=order["id"]),
        ]

    before = everything()
    for _ in range(2):
        again = replay(office, orderId=order["id"])
        assert {"TicketReserved", "PaymentCompleted", "SeatsSold", "OrderPaid"} <= {
            each["eventType"] for each in again["items"]
        }
        assert {each["answer"] for each in again["items"]} == {"SUCCESS"}
        office.quiet()
        assert everything() == before


def test_chosen_events_are_delivered_to_chosen_services(office: BoxOffice, paid: Json) -> None:
    (sold,) = office.listed("/audit/events", type="SeatsSold", orderId=paid["id"])
    again = replay(office, eventIds=[sold["eventId"]], to=["orders"])
    assert [(each["eventId"], each["service"]) for each in again["items"]] == [(sold["eventId"], "orders")]
    assert office.look(paid)["status"] == "Paid"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "eventIds"),
        ({"eventIds": []}, "eventIds"),
        ({"eventIds": "event-1"}, "eventIds"),
        ({"eventIds": ["event-1"], "orderId": "order-1"}, "eventIds"),
        ({"orderId": "order-1", "to": ["nobody"]}, "to"),
        ({"orderId": "order-1", "since": "yesterday"}, "since"),
        ({"orderId": "order-1", "since": "2026-01-01T00:00:00"}, "since"),
        ({"orders": "order-1"}, "orders"),
    ],
)
def test_a_replay_that_can_not_be_meant_is_refused_by_field(office: BoxOffice, body: Json, field: str) -> None:
    answer = office.http.post("/audit/replay", json=body, headers=office.organizer)
    assert field in [error["field"].partition("[")[0] for error in problem(answer, 422, "invalid")["errors"]]
