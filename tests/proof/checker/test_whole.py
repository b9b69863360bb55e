"""A whole world at one instant: good ones hold, and what is wrong with others is said."""

from datetime import timedelta

import pytest
from tests.proof.checker.breaks import SECTION, bury
from tests.proof.checker.worlds import (
    NOON,
    PRICE,
    World,
    busy_world,
    rfc3339,
    rules,
)

from cludale_proof.checker import Invariant, MemorySnapshot, check


@pytest.mark.parametrize("price", [PRICE, 0])
def test_every_life_of_an_order_holds_at_its_end(price: int) -> None:
    report = busy_world(price=price).check(quiet=True)
    assert report.violations == []
    assert report.ok
    assert report.counts["orders"] == 8


def test_what_is_free_is_charged_too_and_once() -> None:
    for charges, rule in ((0, "ledger-differs"), (2, "charged-twice")):
        world = busy_world(price=0)
        world.money("payment-paid.1", 0, charges=charges)
        assert rules(world.check(quiet=True)) == {rule}


def test_messages_that_were_given_up_are_told_of_and_break_nothing() -> None:
    world = busy_world()
    for number in range(12):
        failed = {**world.doc("notifications/notification", "confirmation-paid"), "status": "Failed"}
        failed |= {"id": f"confirmation-failed-{number}", "detail": "550 no such mailbox"}
        world.commit({("notifications/notification", failed["id"]): failed})
    notes = world.check().notes
    assert "confirmation-failed-0 was not sent, and was given up: 550 no such mailbox" in notes
    assert (
        "12 messages given up, or came back, of which 10 are named; to send again: cludale notifications retry --all"
        in notes
    )


def test_an_empty_store_holds() -> None:
    assert check(MemorySnapshot({}, committed=0), quiet=True).ok


def test_orders_under_way_hold_and_are_not_at_their_end() -> None:
    world = World()
    reserved = world.place("order-1")
    assert world.check().ok
    world.begin(reserved)
    completed = world.charge("order-1", reserved)
    assert world.check().ok
    world.sell("order-1", completed)
    assert world.check().ok
    assert {"stuck", "sold-to-nobody", "money-kept"} <= rules(world.check(quiet=True))


def test_what_is_on_its_way_to_the_log_counts_as_known() -> None:
    world = World()
    world.buy("order-1")
    confirmation = world.logged.pop()
    world.outbox.append(confirmation)
    assert world.check().ok
    assert {"outbox", "not-in-the-log"} <= rules(world.check(quiet=True))


def test_what_the_log_has_and_the_outbox_still_holds_counts_once() -> None:
    world = World()
    world.buy("order-1")
    world.outbox.extend(world.logged[-3:])
    assert world.check().ok


def test_a_reservation_that_no_order_has_need_not_be_sold() -> None:
    world = World()
    world.hold(None, id="reservation-nobody")
    assert world.check(quiet=True).ok


def test_more_than_fits_in_memory_is_grouped_on_disk() -> None:
    world = busy_world()
    for number in range(60):
        world.buy(f"order-many-{number}", 1)
    world.doc("orders/order", "order-many-7")["quantity"] = 2
    in_memory, on_disk = world.check(quiet=True), world.check(quiet=True, in_memory_limit=50)
    assert on_disk.counts == in_memory.counts
    assert {str(each) for each in on_disk.violations} == {str(each) for each in in_memory.violations}
    assert "order-differs" in rules(on_disk)


def test_violations_past_the_limit_are_counted() -> None:
    world = busy_world()
    for id in list(world.records["orders/order"]):
        del world.records["orders/order"][id]
    everything = world.check()
    some = world.check(limit=3)
    assert len(some.violations) == 3
    assert some.omitted == len(everything.violations) - 3
    assert not some.ok


def test_without_a_ledger_the_rest_is_checked_and_the_report_says_so() -> None:
    snapshot = busy_world().snapshot()
    report = check(
        MemorySnapshot(snapshot.records, (), None, snapshot.committed), now=NOON + timedelta(hours=1), quiet=True
    )
    assert report.ok
    assert "ledger" in report.unchecked[0]


def test_a_ledger_that_is_ahead_of_the_stores_is_no_breakage_while_things_are_under_way() -> None:
    world = busy_world()
    world.money("payment-paid.1", 2 * PRICE, 2 * PRICE)
    assert world.check().ok
    assert "ledger-differs" in rules(world.check(quiet=True))


def test_dead_letters_are_listed() -> None:
    world = busy_world()
    bury(world, reason="still not handled at the delivery limit")
    report = world.check(quiet=True)
    assert report.ok
    assert "OrderPaid" in report.notes[0]
    assert "order-paid" in report.notes[0]
    assert "delivery limit" in report.notes[0]


def test_a_dead_letter_explains_what_it_left_undone_and_excuses_nothing() -> None:
    world = World()
    paid = world.buy("order-paid")
    world.forget("order-paid", "NotificationSent")
    del world.records["notifications/notification"]["confirmation-paid"]
    bury(world, reason="poison", consumer="notifications")
    (violation,) = world.check(quiet=True).violations
    assert violation.rule == "never-told"
    assert paid["id"] in violation.detail
    assert "poison" in violation.detail


def test_an_entry_without_its_cause_is_noted_where_the_log_marks_it() -> None:
    world = World()
    world.buy("order-1")
    sold = world.found("order-1", "SeatsSold")
    world.logged.remove(sold)
    world.logged.append(sold)
    assert "effect-before-cause" in rules(world.check())
    world.marked.add(world.found("order-1", "OrderPaid")["id"])
    report = world.check()
    assert report.ok
    assert "1 entries" in report.notes[0]


def test_a_mark_that_somebody_put_on_an_entry_is_found() -> None:
    world = World()
    world.buy("order-1")
    world.late.add(world.found("order-1", "OrderPaid")["id"])
    assert rules(world.check()) == {"hash", "late-for-nothing"}


def test_an_event_that_waits_for_its_cause_is_on_its_way_and_not_lost() -> None:
    world = World()
    world.buy("order-1")
    kept = world.logged.pop()
    waiting = {"ids": [kept["id"]], "events": [kept], "dueAt": "2027-01-01T00:00:00Z"}
    world.records["audit/waiting"] = {kept["causationid"]: (1, waiting)}
    report = world.check()
    assert report.ok
    assert "1 events wait" in report.notes[0]
    assert "not-in-the-log" in rules(world.check(quiet=True))


def test_a_violation_tells_the_order_s_story_with_causes_first() -> None:
    world = busy_world()
    world.doc("concerts/reservation", "reservation-paid")["status"] = "Held"
    violation = next(each for each in world.check().violations if each.rule == "paid-without-sold-seats")
    assert violation.invariant is Invariant.PAID_MEANS_SOLD
    assert violation.order_id == "order-paid"
    assert [fact.event.type for fact in violation.evidence] == ["OrderPaid"]
    assert [fact.event.type for fact in violation.story] == [
        "SeatsReserved",
        "OrderPlaced",
        "TicketReserved",
        "PaymentCompleted",
        "SeatsSold",
        "OrderPaid",
        "NotificationSent",
    ]


def test_clocks_that_differ_are_allowed_for_as_far_as_told() -> None:
    world = World(seats=2)
    world.place("order-1", seconds=60)
    world.tick(59.5)  # another machine's clock is ahead by half a second, and thinks that the hold is over
    world.place("order-2", seconds=60)
    world.tick(60)
    world.release("order-1", "hold-expired")
    assert "oversold" in rules(world.check())
    assert "oversold" not in rules(world.check(skew=timedelta(seconds=1)))


def test_seats_given_away_by_a_clock_that_was_ahead_are_not_oversold_when_it_is_right_again() -> None:
    world = World(seats=2)
    world.place("order-1", seconds=60)
    world.tick(61)
    world.place("order-2", seconds=60)
    world.doc("concerts/section", SECTION)["asOf"] = rfc3339(world.now)
    world.tick(-41)
    assert "oversold" not in rules(world.check(skew=timedelta(seconds=62)))
    del world.doc("concerts/section", SECTION)["asOf"]
    assert "oversold" in rules(world.check(skew=timedelta(seconds=62)))
