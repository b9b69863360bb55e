"""Looking on step by step: good worlds pass each step, and the step that breaks something is the one that is named."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.proof.checker.worlds import CONCERT, NOON, PRICE, STALLS, Json, World, busy_world, encoded

from cludale_proof.checker import Invariant, Observation, SafetyChecker, Violation, Write

Step = Callable[[World], list[Violation]]

SECTION = f"{CONCERT}/{STALLS}"


@pytest.mark.parametrize("price", [PRICE, 0])
def test_every_life_of_an_order_passes_step_by_step(price: int) -> None:
    world = busy_world(watched=True, price=price)
    assert world.checker is not None
    assert world.checker.violations == []
    assert world.checker.settled(world.now, tickets_since=None) == []


def test_the_step_that_breaks_something_is_the_one_that_is_named() -> None:
    world = busy_world(watched=True)
    checker = watching(world)
    steps = checker.commits
    order = world.doc("orders/order", "order-paid") | {"status": "Cancelled", "reason": "hold-expired"}
    found = world.commit({("orders/order", "order-paid"): order})
    assert checker.commits == steps + 1
    assert {violation.rule for violation in found} == {"order-differs"}
    assert [violation.order_id for violation in found] == ["order-paid"] * len(found)
    assert checker.violations == found


def test_a_story_can_be_asked_for() -> None:
    world = busy_world(watched=True)
    told = [fact.event.type for fact in watching(world).story("order-declined")]
    assert told == [
        "SeatsReserved",
        "OrderPlaced",
        "TicketReserved",
        "PaymentFailed",
        "OrderCancelled",
        "SeatsReleased",
        "NotificationSent",
    ]
    assert watching(world).story("order-unknown") == ()


def watching(world: World) -> SafetyChecker:
    assert world.checker is not None
    return world.checker


def change(kind: str, id: str, /, **changes: object) -> Step:
    """A record changes, and no event tells of it."""
    return lambda world: world.commit({(kind, id): world.doc(kind, id) | changes})


def pay_in_the_outbox_only(world: World) -> list[Violation]:
    """An event is committed without the change that it tells of."""
    return world.commit({}, [world.order_event("OrderPaid", world.doc("orders/order", "order-declined"))])


def overwrite(world: World) -> list[Violation]:
    """Two writers read version 1 and both write version 2: the version check was dropped."""
    write = Write("orders/order", "order-paid", 2, encoded(world.doc("orders/order", "order-paid")))
    return world.tell([write])


def skip_a_version(world: World) -> list[Violation]:
    return world.tell([Write("orders/order", "order-paid", 4, encoded(world.doc("orders/order", "order-paid")))])


def oversell(world: World) -> list[Violation]:
    found: list[Violation] = []
    for number in range(60):
        world.hold(None, id=f"reservation-crowd-{number}")
        found = watching(world).violations
    return found


def sell_what_nobody_holds(world: World) -> list[Violation]:
    return world.commit({("concerts/section", SECTION): world.moved(sold=2)})


def forget_the_section(world: World) -> list[Violation]:
    reservation = world.doc("concerts/reservation", "reservation-paid") | {"status": "Released"}
    return world.commit({("concerts/reservation", "reservation-paid"): reservation})


def forget_the_outbox(world: World) -> list[Violation]:
    """State is committed, and its event is not."""
    order = world.doc("orders/order", "order-paid") | {"status": "Cancelled", "reason": "cancelled-by-buyer"}
    return world.commit({("orders/order", "order-paid"): order})


def use_an_id_twice(world: World) -> list[Violation]:
    return world.tell([], [world.found("order-paid", "OrderPaid")])


def publish_before_commit(world: World) -> list[Violation]:
    event = world.event("OrderPaid", {"orderId": "order-paid"})
    return watching(world).published(encoded(event))


def publish_otherwise(world: World) -> list[Violation]:
    return watching(world).published(encoded(world.found("order-paid", "OrderPaid") | {"source": "another"}))


def log_what_was_never_committed(world: World) -> list[Violation]:
    entry = world.next_entry(world.event("OrderPaid", {"orderId": "order-paid"}))
    return world.tell([Write("audit/event", entry["event"]["id"], 1, encoded(entry))])


def log_otherwise(world: World) -> list[Violation]:
    entry = world.next_entry(world.found("order-paid", "OrderPaid") | {"source": "another"})
    return world.tell([Write("audit/event", entry["event"]["id"], 1, encoded(entry))])


def log_twice(world: World) -> list[Violation]:
    entry = world.next_entry(world.found("order-paid", "OrderPaid"))
    return world.tell([Write("audit/event", entry["event"]["id"], 2, encoded(entry))])


def break_the_chain(world: World) -> list[Violation]:
    entry = world.next_entry(world.found("order-paid", "OrderPaid")) | {"hash": "f" * 64}
    return world.tell([Write("audit/event", "event-other", 1, encoded(entry))])


def forget_the_head(world: World) -> list[Violation]:
    entry = world.next_entry(world.event("OrderPaid", {"orderId": "order-paid"}))
    return world.tell([Write("audit/event", entry["event"]["id"], 1, encoded(entry))])


def log_effects_first(world: World) -> list[Violation]:
    """The log takes an event in while its cause is still on its way."""
    reserved = world.place("order-new")
    world.begin(reserved)
    completed = world.payment_event("PaymentCompleted", world.payment("order-new"), reserved)
    world.commit({}, [completed], logged=False)
    sold = world.seats_event("SeatsSold", world.doc("concerts/reservation", "reservation-new"), completed)
    world.commit({}, [sold], logged=False)
    return world.log(sold)


def cause_it_by_nothing(world: World) -> list[Violation]:
    released = world.seats_event("SeatsReleased", world.doc("concerts/reservation", "reservation-paid"))
    return world.commit({}, [released | {"causationid": "event-nowhere"}])


def charge_twice(world: World) -> list[Violation]:
    return world.money("payment-paid.1", 4 * PRICE, charges=2)


def charge_a_second_key(world: World) -> list[Violation]:
    return world.money("payment-paid.2", 2 * PRICE)


def charge_nobody(world: World) -> list[Violation]:
    return world.money("payment-nobody.1", 2 * PRICE)


def refund_without_writing_it_down(world: World) -> list[Violation]:
    return world.money("payment-paid.1", 2 * PRICE, 2 * PRICE)


def charge_a_failed_round(world: World) -> list[Violation]:
    return world.money("payment-declined.1", 2 * PRICE)


def complete_without_money(world: World) -> list[Violation]:
    world.begin(world.place("order-new"))
    payment = world.payment("order-new") | {"status": "Completed", "tries": 1}
    completed = world.payment_event("PaymentCompleted", payment, None)
    return world.commit({("payments/payment", payment["id"]): payment}, [completed])


def pay_before_the_sale(world: World) -> list[Violation]:
    reserved = world.place("order-new")
    world.begin(reserved)
    completed = world.charge("order-new", reserved)
    order = world.doc("orders/order", "order-new") | {"status": "Paid"}
    return world.commit({("orders/order", "order-new"): order}, [world.order_event("OrderPaid", order, completed)])


def release_what_is_paid(world: World) -> list[Violation]:
    """The seats of a Paid order go back while it is Paid."""
    world.release("order-paid", "order-cancelled")
    return watching(world).violations


def revive_the_regretted(world: World) -> list[Violation]:
    world.pay("order-regretted", world.found("order-regretted", "SeatsReserved"))
    return watching(world).violations


def confirm_twice(world: World) -> list[Violation]:
    paid = world.found("order-paid", "OrderPaid")
    return world.commit({}, [world.notice("order-paid", "confirmation", paid)])


def send_again(world: World) -> list[Violation]:
    world.notify("confirmation", world.found("order-paid", "OrderPaid"))
    return watching(world).violations


def change_the_kept_answer(world: World) -> list[Violation]:
    kept = {"fingerprint": "f", "answer": {"status": 201, "body": "{}"}}
    world.commit({("orders/answer", "answer-1"): kept})
    return world.commit({("orders/answer", "answer-1"): kept | {"fingerprint": "g"}})


def keep_a_refusal_that_passes(world: World) -> list[Violation]:
    refused = {"status": 409, "body": '{"type":"/problems/seats-unavailable","left":0}'}
    return world.commit({("orders/answer", "answer-1"): {"fingerprint": "f", "answer": refused}})


def answer_too_early(world: World) -> list[Violation]:
    """201 before the order was durable."""
    body = encoded({"id": "order-promised", "status": "Reserved", "quantity": 2}).decode()
    return watching(world).answered(Observation(method="POST", path="/orders", status=201, body=body))


def put_on_nothing(world: World) -> list[Violation]:
    return watching(world).answered(Observation(method="POST", path="/concerts", status=201, body='{"id":"c9"}'))


def move_a_concert(world: World) -> list[Violation]:
    concert = world.doc("concerts/concert", CONCERT) | {"sections": []}
    return world.commit({("concerts/concert", CONCERT): concert})


def put_on_untold(world: World) -> list[Violation]:
    concert = world.doc("concerts/concert", CONCERT) | {"id": "concert-2"}
    return world.commit({("concerts/concert", "concert-2"): concert})


def commit_rubbish(world: World) -> list[Violation]:
    return world.tell([Write("orders/order", "order-paid", 3, b"{")])


def publish_rubbish(world: World) -> list[Violation]:
    return watching(world).published(b"{")


BREAKS: list[tuple[Invariant, str, Step]] = [
    (Invariant.SEATS_ADD_UP, "oversold", oversell),
    (Invariant.SEATS_ADD_UP, "sold-differs", sell_what_nobody_holds),
    (Invariant.SEATS_ADD_UP, "sold-differs", forget_the_section),
    (Invariant.ONE_CAPTURE, "charged-twice", charge_twice),
    (Invariant.ONE_CAPTURE, "charged-twice", charge_a_second_key),
    (Invariant.ONE_CAPTURE, "money-without-payment", charge_nobody),
    (Invariant.ONE_CAPTURE, "ledger-differs", refund_without_writing_it_down),
    (Invariant.ONE_CAPTURE, "ledger-differs", charge_a_failed_round),
    (Invariant.ONE_CAPTURE, "completed-without-money", complete_without_money),
    (Invariant.PAID_MEANS_SOLD, "paid-without-sold-seats", pay_before_the_sale),
    (Invariant.PAID_MEANS_SOLD, "paid-without-sold-seats", release_what_is_paid),
    (Invariant.ONE_WINNER, "revived", revive_the_regretted),
    (Invariant.ONE_WINNER, "sold-and-released", release_what_is_paid),
    (Invariant.LEGAL_STEPS, "version-gap", overwrite),
    (Invariant.LEGAL_STEPS, "version-gap", skip_a_version),
    (Invariant.LEGAL_STEPS, "illegal-step", change("orders/order", "order-paid", status="Reserved")),
    (Invariant.LEGAL_STEPS, "illegal-step", change("concerts/reservation", "reservation-declined", status="Sold")),
    (Invariant.LEGAL_STEPS, "illegal-step", change("payments/payment", "payment-returned", status="Completed")),
    (
        Invariant.LEGAL_STEPS,
        "illegal-step",
        change("notifications/notification", "confirmation-paid", status="Pending"),
    ),
    (Invariant.LEGAL_STEPS, "illegal-round", change("payments/payment", "payment-paid", round=2)),
    (Invariant.LEGAL_STEPS, "changed", change("orders/order", "order-paid", quantity=3)),
    (Invariant.LEGAL_STEPS, "concert-changed", move_a_concert),
    (Invariant.ONE_CONFIRMATION, "confirmation-twice", confirm_twice),
    (Invariant.ONE_CONFIRMATION, "confirmation-twice", send_again),
    (Invariant.WHOLE_LOG, "committed-twice", use_an_id_twice),
    (Invariant.WHOLE_LOG, "published-uncommitted", publish_before_commit),
    (Invariant.WHOLE_LOG, "published-changed", publish_otherwise),
    (Invariant.WHOLE_LOG, "unreadable", publish_rubbish),
    (Invariant.WHOLE_LOG, "logged-uncommitted", log_what_was_never_committed),
    (Invariant.WHOLE_LOG, "logged-changed", log_otherwise),
    (Invariant.WHOLE_LOG, "logged-twice", log_twice),
    (Invariant.WHOLE_LOG, "hash", break_the_chain),
    (Invariant.WHOLE_LOG, "another-event", break_the_chain),
    (Invariant.WHOLE_LOG, "head", forget_the_head),
    (Invariant.WHOLE_LOG, "effect-before-cause", log_effects_first),
    (Invariant.WHOLE_LOG, "unknown-cause", cause_it_by_nothing),
    (Invariant.SAME_ANSWER, "answer-changed", change_the_kept_answer),
    (Invariant.SAME_ANSWER, "refusal-kept", keep_a_refusal_that_passes),
    (Invariant.ACKNOWLEDGED_STAYS, "order-gone", answer_too_early),
    (Invariant.ACKNOWLEDGED_STAYS, "concert-gone", put_on_nothing),
    (Invariant.LOG_GIVES_STORES, "order-differs", forget_the_outbox),
    (Invariant.LOG_GIVES_STORES, "order-differs", pay_in_the_outbox_only),
    (Invariant.LOG_GIVES_STORES, "concert-untold", put_on_untold),
    (Invariant.LOG_GIVES_STORES, "unreadable", commit_rubbish),
]


@pytest.mark.parametrize(
    ("invariant", "rule", "step"), BREAKS, ids=[f"{number}-{rule}" for number, (_, rule, _) in enumerate(BREAKS)]
)
def test_a_bad_step_is_found(invariant: Invariant, rule: str, step: Step) -> None:
    world = busy_world(watched=True)
    found = [violation for violation in step(world) if violation.rule == rule]
    assert found, watching(world).violations
    assert {violation.invariant for violation in found} == {invariant}
    assert set(map(str, found)) <= set(map(str, watching(world).violations))


def test_what_is_left_undone_is_found_once_all_has_settled() -> None:
    world = busy_world(watched=True)
    reserved = world.place("order-open", seconds=1)
    event: Json = world.event("OrderPlaced", {"orderId": "order-open"})
    world.tick(60)
    found = watching(world).settled(world.now, outbox=[event], tickets_since=None)
    assert {violation.rule for violation in found} == {"stuck", "held-past-its-time", "never-charged", "outbox"}
    assert reserved["data"]["orderId"] == "order-open"


def test_an_event_that_never_reached_the_log_is_found_once_all_has_settled() -> None:
    world = World(watched=True)
    event = world.event("ConcertScheduled", {"concertId": "concert-2", "sections": []})
    concert = {"id": "concert-2", "sections": []}
    assert world.commit({("concerts/concert", "concert-2"): concert}, [event], logged=False) == []
    assert [violation.rule for violation in watching(world).settled(NOON)] == ["not-in-the-log"]


def test_a_hold_may_stand_a_little_past_its_time() -> None:
    world = World(watched=True)
    world.hold(None, id="reservation-1", seconds=1)
    world.tick(2)
    assert watching(world).settled(world.now, grace=timedelta(seconds=5)) == []
    assert watching(world).settled(world.now) != []


def test_an_order_without_tickets_is_found_once_all_has_settled() -> None:
    found = watching(busy_world(watched=True)).settled(NOON)
    assert "never-issued" in {violation.rule for violation in found}
