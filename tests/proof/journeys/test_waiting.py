"""The waiting list: who comes first is offered what comes back, pays for it, or lets the next have it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.proof.journeys.box_office import BoxOffice, Json, problem


def join(office: BoxOffice, concert: str, quantity: int = 1) -> Json:
    """An order that waits."""
    answer = office.order(concert, quantity=quantity, waitingList=True, email="ann@example.org")
    assert answer.status_code == 202, answer.text
    body: Json = answer.json()
    return body


def says(office: BoxOffice, order: Json, what: str) -> Any:
    """What the order says of its waiting, once it says that."""
    seen = office.until(lambda: office.look(order), lambda seen: seen.get("waiting", {}).get(what) is not None)
    return seen["waiting"][what]


def test_the_first_on_the_waiting_list_gets_what_comes_back(office: BoxOffice) -> None:
    concert = office.put_on(seats=2)["id"]
    gone = office.buy(concert, quantity=2)
    office.end(gone, "Paid")
    first, second, third = (join(office, concert, quantity) for quantity in (2, 1, 1))
    assert (says(office, second, "position"), says(office, second, "length")) == (2, 3)
    assert problem(office.order(concert, quantity=1), 409, "seats-unavailable")["waiting"] == 3
    assert office.concert(concert)["sections"][0]["waiting"] == 3
    problem(office.pay_again(second, "card-ok"), 409, "nothing-offered")
    office.cancel(gone)
    assert says(office, first, "offeredUntil")
    assert says(office, second, "position") == 1
    office.cancel(first)
    assert says(office, third, "offeredUntil")
    assert says(office, second, "total") == {"amount": 4500, "currency": "EUR"}
    assert office.pay_again(second, "card-ok").status_code == 202
    assert office.end(second, "Paid")["payment"]["status"] == "Completed"
    office.cancel(third)
    office.until(lambda: office.counts(concert), lambda counts: counts == (1, 0, 1))
    assert office.order(concert, quantity=1).status_code == 201


def test_who_waits_leaves_an_address_and_those_who_do_are_told_when_the_list_ends(office: BoxOffice) -> None:
    concert = office.put_on(seats=1)["id"]
    office.end(office.buy(concert, quantity=1), "Paid")
    assert problem(office.order(concert, quantity=1, waitingList=True), 422, "invalid")["errors"][0]["field"] == "email"
    order = join(office, concert)
    cancelled = office.http.post(f"/concerts/{concert}/cancel", json={"reason": "A storm"}, headers=office.organizer)
    assert cancelled.status_code == 200
    assert office.end(order, "Cancelled")["reason"] == "concert-called-off"


def test_an_offer_counts_as_a_hold_where_buyers_are_limited_and_lasts_as_long_as_the_concert_says(
    office: BoxOffice,
) -> None:
    concert = office.put_on(seats=3, maxPerBuyer=2, offerMinutes=90)["id"]
    gone = office.buy(concert, quantity=2, userId="other")
    office.end(gone, "Paid")
    rest = office.buy(concert, quantity=1, userId="third")
    office.end(rest, "Paid")
    wanted: Json = {"waitingList": True, "email": "ann@example.org", "userId": "ann"}
    problem(office.order(concert, quantity=3, **wanted), 409, "buyer-limit-reached")
    greedy, more = (office.order(concert, quantity=2, **wanted).json() for _ in range(2))
    next_one = office.order(concert, quantity=1, waitingList=True, email="bo@example.org", userId="bo").json()
    office.cancel(gone)
    until = datetime.fromisoformat(says(office, greedy, "offeredUntil"))
    assert timedelta(minutes=80) < until - datetime.now(UTC) < timedelta(minutes=91)
    assert office.pay_again(greedy, "card-ok").status_code == 202
    office.end(greedy, "Paid")
    problem(office.order(concert, quantity=1, **wanted), 409, "buyer-limit-reached")
    office.cancel(rest)
    assert says(office, next_one, "offeredUntil")  # the larger party before it keeps its place
    office.cancel(greedy)
    assert says(office, more, "offeredUntil")
    changed = office.http.patch(
        f"/concerts/{concert}", json={"offerMinutes": None}, headers=office.organizer | {"if-match": "*"}
    )
    assert changed.json()["offerMinutes"] is None


def test_who_waits_with_a_code_pays_what_it_gives_as_long_as_it_is_left(office: BoxOffice) -> None:
    concert = office.put_on(seats=2)["id"]
    made = office.http.post(
        f"/concerts/{concert}/codes", json={"code": "HALF", "percent": 50, "maxUses": 1}, headers=office.organizer
    )
    assert made.status_code == 201, made.text
    gone = office.buy(concert, quantity=2)
    office.end(gone, "Paid")
    problem(office.order(concert, quantity=1, waitingList=True, email="a@example.org", code="NO"), 422, "code-unknown")
    first, second = (
        office.order(concert, quantity=1, waitingList=True, email=f"{name}@example.org", code="half").json()
        for name in ("a", "b")
    )
    office.cancel(gone)
    assert says(office, first, "total") == {"amount": 2250, "currency": "EUR"}
    assert office.end(second, "Cancelled")["reason"] == "code-used-up"
    assert office.pay_again(first, "card-ok").status_code == 202
    assert office.end(first, "Paid")["bill"]["code"] == "HALF"
