"""A rehearsal finds out whether a platform keeps its promises: held against a double that can break each of them."""

from typing import Any
from uuid import UUID

import msgspec
import pytest
from tests.proof.rehearsal.double import KEY, Double, running

from cludale_proof.rehearsal.plan import CannotRehearse, Plan, RehearsalOutcome, Silent
from cludale_proof.rehearsal.rehearse import rehearse


async def rehearsed(double: Double, **changes: Any) -> RehearsalOutcome:
    async with running(double) as url:
        plan = Plan(url=url, organizer_key=KEY, seats=50, buyers=120, connections=8, settle_seconds=0.3)
        return await rehearse(msgspec.structs.replace(plan, **changes), Silent())


def broken(outcome: RehearsalOutcome) -> set[str]:
    return {check.name for check in outcome.checks if not check.ok}


async def test_a_platform_that_keeps_its_promises_passes() -> None:
    double = Double()
    outcome = await rehearsed(double)
    assert broken(outcome) == set()
    assert outcome.ok
    assert (outcome.buyers, outcome.accepted, outcome.seats_sold) == (120, 50, 50)
    assert outcome.refused == {"seats-unavailable": 70}
    assert outcome.errors == {}
    assert outcome.orders == {"Paid": 50}
    assert outcome.latency.p99_ms is not None
    assert outcome.settled_seconds is not None
    assert outcome.settled_seconds >= outcome.seconds > 0
    assert len({wanted["userId"] for wanted in double.requests}) == 120
    assert double.concert["listed"] is False, "nobody who looks for concerts is offered it"


async def test_buyers_want_as_many_tickets_and_pay_as_the_plan_says() -> None:
    double = Double()
    outcome = await rehearsed(
        double, seats=1000, most_tickets=4, section="general", payment_methods={"card-ok": 3, "card-declined": 1}
    )
    assert broken(outcome) == set()
    assert {wanted["quantity"] for wanted in double.requests} == {1, 2, 3, 4}
    assert {wanted["section"] for wanted in double.requests} == {"general"}
    declined = sum(wanted["paymentMethod"] == "card-declined" for wanted in double.requests)
    assert 10 < declined < 50
    assert outcome.orders == {"Cancelled": declined, "Paid": 120 - declined}


async def test_each_order_has_an_idempotency_key_of_its_own_and_no_two_rehearsals_share_one() -> None:
    double = Double()
    for _ in range(2):
        outcome = await rehearsed(double)
        assert outcome.with_keys
    keys = [key for key in double.keys if key is not None]
    assert len(set(keys)) == len(keys) == 240
    assert {len(str(UUID(key.decode()))) for key in keys} == {36}


async def test_orders_without_a_key_can_be_had() -> None:
    double = Double()
    outcome = await rehearsed(double, with_keys=False)
    assert not outcome.with_keys
    assert set(double.keys) == {None}


async def test_buyers_come_at_the_rate_of_the_plan() -> None:
    outcome = await rehearsed(Double(), rate=400.0)
    assert outcome.ok
    assert 0.15 < outcome.seconds < 30


async def test_a_named_concert_is_rehearsed_as_it_stands() -> None:
    double = Double()
    double.concert = {"id": "tonight", "totalSeats": 5, "maxPerOrder": 2}
    outcome = await rehearsed(double, concert_id="tonight")
    assert outcome.ok
    assert (outcome.concert_id, outcome.seats_sold) == ("tonight", 5)
    with pytest.raises(CannotRehearse, match="at most 2"):
        await rehearsed(double, concert_id="tonight", most_tickets=3)


async def test_an_audit_that_is_late_is_waited_for() -> None:
    outcome = await rehearsed(Double("audit is late"), settle_seconds=10.0)
    assert outcome.ok


async def test_an_audit_that_is_away_for_a_while_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cludale_proof.rehearsal.organizer.FIRST_PAUSE_SECONDS", 0.001)
    outcome = await rehearsed(Double("audit is away"))
    assert outcome.ok


@pytest.mark.parametrize(
    "moves",
    [
        pytest.param(["Pending", "Reserved", "Reserved", "Paid"], id="reserved between two questions"),
        pytest.param(["Cancelled", "Cancelled", "Cancelled", "Paid"], id="cancelled, and paid after all"),
    ],
)
async def test_an_order_that_moves_on_while_it_is_looked_at_is_judged_by_its_end(moves: list[str]) -> None:
    double = Double()
    double.moves = moves
    outcome = await rehearsed(double, settle_seconds=10.0)
    assert broken(outcome) == set()
    assert (outcome.orders, double.moves) == ({"Paid": 50}, [])


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("oversells", {"nothing oversold"}),
        ("loses an order", {"no accepted order lost", "sold seats are paid for", "every event is in the audit"}),
        ("loses an event", {"every event is in the audit", "causes before effects"}),
        (
            "an order never settles",
            {"every order at its end state", "sold seats are paid for", "every event is in the audit"},
        ),
        ("audit turns causes round", {"causes before effects"}),
        ("chain is broken", {"the audit's chain verifies"}),
        ("every tenth breaks", {"every buyer got an answer"}),
    ],
)
async def test_a_platform_that_breaks_a_promise_is_found_out(fault: str, found: set[str]) -> None:
    outcome = await rehearsed(Double(fault))
    assert broken(outcome) >= found
    assert not outcome.ok


async def test_errors_are_counted_by_what_they_were() -> None:
    outcome = await rehearsed(Double("every tenth breaks"))
    assert outcome.errors == {"status 500": 12}


async def test_without_a_server_there_is_no_rehearsal() -> None:
    plan = Plan(url="http://127.0.0.1:9", organizer_key=KEY, seats=1, buyers=1, connections=1)
    with pytest.raises(CannotRehearse, match=r"no answer from http://127\.0\.0\.1:9.*Is the server running"):
        await rehearse(plan, Silent())


async def test_with_the_wrong_key_there_is_no_rehearsal() -> None:
    with pytest.raises(CannotRehearse, match="another organizer's key"):
        await rehearsed(Double(), organizer_key="wrong")


async def test_without_the_named_concert_there_is_no_rehearsal() -> None:
    with pytest.raises(CannotRehearse, match="404"):
        await rehearsed(Double(), concert_id="nobody-plays")
