"""An evening at the door, as `cludale rehearse --doors` rehearses it: some doors have no network."""

import asyncio
from datetime import UTC, datetime, timedelta

from tests.proof.journeys.box_office import BoxOffice, Json, problem

from cludale_proof.rehearsal.plan import Plan, Silent
from cludale_proof.rehearsal.rehearse import rehearse


def test_all_who_bought_come_in_and_nobody_comes_in_unseen(office: BoxOffice) -> None:
    key = office.organizer["authorization"].removeprefix("Bearer ")
    plan = Plan(
        url=office.url,
        organizer_key=key,
        seats=120,
        buyers=130,
        connections=16,
        timeout_seconds=30,
        doors=4,
        offline_doors=2,
        shown_again=0.5,
    )
    outcome = asyncio.run(rehearse(plan, Silent()))
    assert [check for check in outcome.checks if not check.ok] == []
    evening = outcome.evening
    assert evening is not None
    assert evening.said.keys() == {"valid", "used", "revoked", "forged"}
    assert evening.seen.double_entries, "somebody came with one code to two doors that could not know of each other"


def test_who_came_in_keeps_the_ticket_unless_the_organizer_gives_it_back(office: BoxOffice) -> None:
    tonight = (datetime.now(UTC) + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    concert = office.put_on(seats=20, date=tonight)["id"]
    order = office.buy(concert, quantity=3)
    office.end(order, "Paid")
    first, _, _ = office.until(
        lambda: office.http.get("/tickets", params={"order": order["id"]}, headers=office.buyer(order)),
        lambda told: told.is_success,
    ).json()["items"]
    shown: Json = {"code": first["code"], "door": "north"}
    come = office.http.post("/tickets/admissions", json=shown, headers=office.organizer)
    assert come.json()["result"] == "valid"

    at = f"/orders/{order['id']}"
    assert office.http.post(f"{at}/refunds", json={"quantity": 1}, headers=office.buyer(order)).status_code == 202
    refused = office.http.post(f"{at}/cancel", headers=office.buyer(order))
    problem(refused, 409, "already-admitted")
    assert refused.json()["tickets"] == [1]
    assert office.cancel(order, by=office.organizer)["status"] == "Cancelled"
