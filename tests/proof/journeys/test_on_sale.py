"""The on-sale: far more people than seats, all at once."""

from pathlib import Path

import msgspec
import pytest
from tests.proof.faults.judging import settled
from tests.proof.journeys.conftest import Start, is_over_cosmos, reads_the_embedded_store
from tests.proof.journeys.crowds import requests_of, rush

SEATS, BUYERS = 1_000, 10_000


def test_over_cosmos_two_thousand_buyers_for_two_hundred_seats(start: Start, tmp_path: Path) -> None:
    """A smaller crowd, for the double is a server in Python; and without the checker, which reads no Cosmos DB."""
    if not is_over_cosmos():
        pytest.skip("is about Cosmos DB: JOURNEYS_STORE=cosmos")
    with start(tmp_path) as ours:
        office = ours.office
        concert = office.put_on(seats=200)["id"]
        tally, heard = rush(office.url, requests_of(office.url, concert, 2_000))
        assert tally.errors == {}
        assert tally.statuses == {201: 200, 409: 1_800}
        bought = {msgspec.json.decode(body)["id"] for status, body in heard if status == 201}
        office.until(lambda: office.counts(concert), lambda counted: counted == (0, 0, 200))

        def told() -> int:
            return len(office.listed("/audit/events", type="NotificationSent", concertId=concert, limit=200))

        office.until(told, lambda count: count >= 200)
        orders = office.listed("/orders", concertId=concert, limit=200)
        assert {order["id"] for order in orders} == bought
        assert {order["status"] for order in orders} == {"Paid"}
        assert told() == 200
        assert office.get("/audit/verify")["ok"] is True


@pytest.mark.slow
@reads_the_embedded_store
def test_ten_thousand_buyers_for_a_thousand_seats(start: Start, tmp_path: Path) -> None:
    with start(tmp_path) as ours:
        office = ours.office
        concert = office.put_on(seats=SEATS)["id"]
        tally, heard = rush(office.url, requests_of(office.url, concert, BUYERS))
        assert tally.errors == {}
        assert tally.statuses == {201: SEATS, 409: BUYERS - SEATS}
        refusals = {msgspec.json.decode(body)["type"].rpartition("/")[2] for status, body in heard if status == 409}
        assert refusals == {"seats-unavailable"}
        bought = {msgspec.json.decode(body)["id"] for status, body in heard if status == 201}
        assert len(bought) == SEATS
        office.until(lambda: office.counts(concert), lambda counted: counted == (0, 0, SEATS))
        report = settled(tmp_path)
        assert report.ok
        orders = office.listed("/orders", concertId=concert, limit=200)
        assert {order["id"] for order in orders} == bought
        assert {order["status"] for order in orders} == {"Paid"}
        assert len(office.listed("/audit/events", type="NotificationSent", concertId=concert, limit=200)) == SEATS
        assert office.get("/audit/verify")["ok"] is True
