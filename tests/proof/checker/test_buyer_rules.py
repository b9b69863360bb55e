"""What one buyer may have, by the checker's own count."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from cludale_proof.checker.buyer_rules import BuyerTally
from cludale_proof.checker.documents import Allowance, Order, Reservation, Returned
from cludale_proof.checker.findings import Invariant

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)


def order(number: int, **known: Any) -> Order:
    user = known.pop("user_id", f"user-{number}")
    return Order(id=f"order-{number}", concert_id="c1", user_id=user, quantity=2, status="Reserved", **known)


def held(number: int, status: str = "Held") -> Reservation:
    return Reservation(
        id=f"reservation-{number}",
        concert_id="c1",
        section="s1",
        quantity=2,
        status=status,
        expires_at=NOON,
        order_id=f"order-{number}",
    )


def limited(limit: int) -> BuyerTally:
    tally = BuyerTally()
    tally.concert("c1", limit)
    return tally


def test_more_than_the_limit_is_found_whatever_the_buyer_is_known_by() -> None:
    for known in ({"user_id": "u"}, {"email": "a@example.org"}, {"phone": "+49 170 1"}):
        tally = limited(3)
        for number in (1, 2):
            assert not list(tally.reservation(held(number)))
        assert not list(tally.order(order(1, **known)))
        (found,) = tally.order(order(2, **known))
        assert (found.invariant, found.rule) == (Invariant.WITHIN_LIMITS, "buyer-over-the-limit")


def test_an_address_and_a_number_are_the_same_however_they_are_written() -> None:
    tally = limited(3)
    rows = ((1, "A+x@Example.org", "0049 (0)1701"), (2, "a@example.org", "+49 170 1"))
    found = [list(tally.count(order(n, email=email, phone=phone), [held(n)])) for n, email, phone in rows]
    assert [len(each) for each in found] == [0, 2]


@pytest.mark.parametrize("by", ["email", "phone"])
def test_a_store_says_by_hashes_who_is_one_buyer(by: str) -> None:
    tally = limited(3)
    tally.allowance(Allowance(id=f"c1:{by}-hash", claims={"reservation-1": {}, "reservation-2": {}}))
    tally.allowance(Allowance(id="c1:user-hash", claims={"reservation-1": {}, "reservation-2": {}}))
    tally.allowance(Allowance(id=f"*:{by}-hash", claims={"reservation-1": {}, "reservation-3": {}}))
    assert not list(tally.count(order(1), [held(1, "Sold")]))
    assert not list(tally.count(order(3), [held(3, "Sold")])), "unpaid orders everywhere are another matter"
    (found,) = tally.count(order(2), [held(2)])
    assert f"the buyer known by {by} has 4 tickets of c1" in found.detail


def test_what_was_given_back_counts_no_more() -> None:
    tally = limited(2)
    for number in (1, 2):
        assert not list(tally.order(order(number, user_id="u")))
    assert not list(tally.reservation(held(1)))
    assert not list(tally.reservation(held(1, "Released")))
    assert not list(tally.reservation(held(2, "Sold")))
    assert len(list(tally.reservation(held(1, "Sold")))) == 1


def test_a_ticket_of_an_order_that_was_given_back_counts_no_more() -> None:
    part = msgspec.structs.replace(held(1, "Sold"), returns={1: Returned(tickets=1, at=NOON)})
    tally, whole = limited(3), limited(3)
    for number in (1, 2):
        assert not list(tally.order(order(number, user_id="u")))
    assert not list(tally.reservation(part))
    assert not list(tally.reservation(held(2)))
    assert not list(whole.count(order(1, user_id="u"), [part]))
    assert not list(whole.count(order(2, user_id="u"), [held(2)]))


def test_concerts_without_a_limit_are_not_counted() -> None:
    assert not list(BuyerTally().count(order(1), [held(1)]))
