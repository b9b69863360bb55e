"""A whole world at one instant: good ones hold, and each way to break one is found, named and shown."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.proof.checker.worlds import CONCERT, NOON, PRICE, STALLS, Json, World, busy_world, encoded, euro, rfc3339

from cludale_proof.checker import Invariant, LedgerLine, MemorySnapshot, Row, check
from cludale_proof.checker.findings import Report

Break = Callable[[World], None]

SECTION = f"{CONCERT}/{STALLS}"


def rules(report: Report) -> set[str]:
    return {violation.rule for violation in report.violations}


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


# Each of these breaks a good world in one way.


def tamper(kind: str, id: str, /, **changes: object) -> Break:
    def break_it(world: World) -> None:
        world.doc(kind, id).update(changes)

    return break_it


def lose(kind: str, id: str) -> Break:
    def break_it(world: World) -> None:
        del world.records[kind][id]

    return break_it


def forget(order_id: str, type: str) -> Break:
    def break_it(world: World) -> None:
        world.forget(order_id, type)

    return break_it


def repeat(order_id: str, type: str) -> Break:
    """The same fact a second time, under another id: done twice."""

    def break_it(world: World) -> None:
        event = world.found(order_id, type)
        world.invent(event | {"id": f"{event['id']}-again"})

    return break_it


def tell_again(order_id: str, type: str, **changes: object) -> Break:
    """The same fact a second time, marked as told again; `changes`: but otherwise."""

    def break_it(world: World) -> None:
        event = world.found(order_id, type)
        data = event["data"] | changes
        world.invent(event | {"id": f"{event['id']}-again", "repeated": True, "data": data})

    return break_it


def say(order_id: str, type: str, **changes: object) -> Break:
    def break_it(world: World) -> None:
        event = world.found(order_id, type)
        event["data"] = event["data"] | changes

    return break_it


def ledger(key: str, captured: int, refunded: int = 0, charges: int = 1) -> Break:
    def break_it(world: World) -> None:
        world.ledger[key] = LedgerLine(key=key, captured=captured, refunded=refunded, charges=charges)

    return break_it


def version(kind: str, id: str, number: int) -> Break:
    def break_it(world: World) -> None:
        world.records[kind][id] = (number, world.doc(kind, id))

    return break_it


def bury(world: World, *, reason: str, consumer: str = "payments") -> None:
    event = world.found("order-paid", "OrderPaid")
    letter = {
        "id": "letter-1",
        "consumer": consumer,
        "eventType": "OrderPaid",
        "eventId": event["id"],
        "reason": reason,
        "attempts": 20,
        "buriedAt": rfc3339(world.now),
        "body": encoded(event).decode(),
        "state": "Waiting",
    }
    world.records["delivery/dead_letter"] = {"letter-1": (1, letter)}


def shrink(world: World) -> None:
    for sections in (
        world.doc("concerts/concert", CONCERT)["sections"],
        world.logged[0]["data"]["sections"],
    ):
        sections[0]["totalSeats"] = 3
    world.doc("concerts/section", SECTION)["total"] = 3


def two_in_one_seat(world: World) -> None:
    """One seat: held for one, held for another a minute before the first hold ends; then both are let go."""
    shrink(world)
    world.place("order-early", 2, seconds=60)
    world.tick(30)
    world.place("order-early-too", 2, seconds=60)
    world.tick(90)
    world.release("order-early", "hold-expired")
    world.release("order-early-too", "hold-expired")


def sell_and_expire(world: World) -> None:
    """Expiry wins after the sale has won."""
    world.tick(700)
    world.release("order-paid", "hold-expired")


def second_reservation(world: World) -> None:
    world.hold("order-paid", id="reservation-second")


def late_sale(world: World) -> None:
    """Sold though the hold had ended, because nobody had swept it yet."""
    reserved = world.place("order-slow", seconds=1)
    world.begin(reserved)
    completed = world.charge("order-slow", reserved)
    world.tick(5)
    world.pay("order-slow", world.sell("order-slow", completed))


def early_expiry(world: World) -> None:
    world.place("order-hasty")
    world.release("order-hasty", "hold-expired")


def take_nothing(world: World) -> None:
    del world.ledger["payment-paid.1"]


def forget_to_charge(world: World) -> None:
    world.place("order-new")


def unpaid_sale(world: World) -> None:
    reserved = world.place("order-free")
    world.pay("order-free", world.sell("order-free", reserved))


def refuse_what_was_sold(world: World) -> None:
    world.refuse("order-paid", world.found("order-paid", "PaymentCompleted"))


def refuse_twice(world: World) -> None:
    world.refuse("order-too-late", world.found("order-too-late", "PaymentCompleted"))


def cancel_past_the_pay(world: World) -> None:
    """A cancellation that was decided on the order as it was before it was Paid."""
    off = world.cancel("order-paid")
    off["data"]["wasPaid"] = False


def fail_the_paid(world: World) -> None:
    world.cancel("order-paid", "hold-expired")


def pay_the_regretted(world: World) -> None:
    """An order that its buyer had cancelled comes back to life."""
    world.pay("order-regretted", world.found("order-regretted", "SeatsReserved"))


def complete_and_fail(world: World) -> None:
    payment = world.payment("order-paid")
    world.invent(
        world.payment_event("PaymentFailed", payment, None, attempts=1, reason="payment-failed", returned=True)
    )


def charge_again(world: World) -> None:
    """A second round although the first has taken the money."""
    world.again("order-paid")
    world.charge("order-paid", world.found("order-paid", "TicketReserved"))


def skip_a_round(world: World) -> None:
    for event in world.logged:
        if event["type"] == "PaymentCompleted" and event["data"]["orderId"] == "order-second-try":
            event["data"]["round"] = 3


def refund_unasked(world: World) -> None:
    world.refund("order-paid", world.found("order-paid", "OrderPaid"))


def keep_the_money(world: World) -> None:
    """Cancelled on purpose, seats given back, and the refund forgotten."""
    off = world.cancel("order-paid")
    world.release("order-paid", "order-cancelled", off, closed=True)
    world.notify("cancellation", off)


def confirm_the_declined(world: World) -> None:
    world.notify("confirmation", world.found("order-declined", "OrderCancelled"))


def forget_to_confirm(world: World) -> None:
    world.forget("order-paid", "NotificationSent")
    del world.records["notifications/notification"]["confirmation-paid"]


def forget_to_tell_of_the_second(world: World) -> None:
    """Its buyer knows that the first payment was declined, not that the ticket was given back."""
    world.forget("order-second-thoughts", "NotificationSent")
    del world.records["notifications/notification"]["ticket-cancellation-second-thoughts"]


def effect_first(world: World) -> None:
    sold = world.found("order-paid", "SeatsSold")
    world.logged.remove(sold)
    world.logged.append(sold)


def cause_from_nowhere(world: World) -> None:
    world.found("order-paid", "SeatsSold")["causationid"] = "event-nowhere"


def lose_an_event(world: World) -> None:
    """Committed, and neither in the log nor in the outbox."""
    world.committed += 1


def publish_otherwise(world: World) -> None:
    event = world.found("order-paid", "OrderPaid")
    world.outbox.append(event | {"time": rfc3339(world.now)})


def invent_an_event(world: World) -> None:
    world.invent(world.event("OrderPraised", {"orderId": "order-paid"}))


def leave_reserved(world: World) -> None:
    reserved = world.place("order-open")
    world.begin(reserved)


def hold_for_ever(world: World) -> None:
    world.hold(None, id="reservation-for-ever", seconds=1)
    world.tick(60)


def hold_for_the_declined(world: World) -> None:
    """The order failed, and nobody released its seats."""
    reserved = world.place("order-left")
    world.begin(reserved)
    failed = world.decline("order-left", reserved)
    world.notify("cancellation", world.cancel("order-left", "payment-declined", failed))


def leave_in_the_outbox(world: World) -> None:
    event = world.logged.pop()
    world.outbox.append(event)


def letter_without_reason(world: World) -> None:
    bury(world, reason="")


def stop_refunding(world: World) -> None:
    off = world.cancel("order-paid")
    world.release("order-paid", "order-cancelled", off, closed=True)
    world.notify("cancellation", off)
    payment = world.payment("order-paid") | {"refunding": True}
    world.commit({("payments/payment", payment["id"]): payment})


def give_a_receipt_for_nothing(world: World) -> None:
    tamper("notifications/notification", "confirmation-paid", paymentId="payment-nobodys")(world)
    say("order-paid", "NotificationSent", paymentId="payment-nobodys")(world)


def leave_a_message_unsent(world: World) -> None:
    """A confirmation that waits, of an order that will never be Paid."""
    message = world.doc("notifications/notification", "confirmation-paid")
    for_nobody = {**message, "id": "confirmation-declined", "orderId": "order-declined", "status": "Pending"}
    world.commit({("notifications/notification", "confirmation-declined"): for_nobody})


def spoil(world: World) -> None:
    del world.doc("orders/order", "order-paid")["quantity"]


def kept_answer_of_nothing(world: World) -> None:
    body = encoded({"id": "order-gone", "status": "Reserved", "quantity": 2}).decode()
    kept = {"fingerprint": "f", "answer": {"status": 201, "body": body}}
    world.records["orders/answer"] = {"answer-1": (1, kept)}


def kept_answer_of_another_price(world: World) -> None:
    body = encoded({"id": "order-paid", "status": "Reserved", "quantity": 2, "total": euro(1)}).decode()
    kept = {"fingerprint": "f", "answer": {"status": 201, "body": body}}
    world.records["orders/answer"] = {"answer-1": (1, kept)}


def kept_hold_of_nothing(world: World) -> None:
    body = encoded({"id": "reservation-gone", "status": "Held", "quantity": 2}).decode()
    kept = {"fingerprint": "f", "answer": {"status": 201, "body": body}}
    world.records["concerts/answer"] = {"answer-1": (1, kept)}


def tell_of_a_cancellation(world: World) -> None:
    world.notify("cancellation", world.found("order-paid", "OrderPaid"))


def fail_after_the_charge(world: World) -> None:
    world.again("order-paid")
    world.decline("order-paid", world.found("order-paid", "TicketReserved"))


def second_payment(world: World) -> None:
    world.records["payments/payment"]["payment-second"] = (1, world.payment("order-paid") | {"id": "payment-second"})


def second_sale(world: World) -> None:
    world.hold("order-paid", id="reservation-second")
    second = world.doc("concerts/reservation", "reservation-second") | {"status": "Sold"}
    sold = world.seats_event("SeatsSold", second, world.found("order-paid", "PaymentCompleted"))
    world.commit({("concerts/reservation", "reservation-second"): second}, [sold])


def move_the_section(world: World) -> None:
    world.doc("concerts/concert", CONCERT)["sections"][0]["price"] = euro(1)
    world.logged[0]["data"]["sections"] = [{"id": STALLS, "totalSeats": 100, "price": euro(PRICE)}]


def second_concert(world: World) -> None:
    event = world.logged[0]
    world.invent(event | {"id": "event-again"})


def same_key_twice(world: World) -> None:
    made = world.event("KeyCreated", {"keyId": "key-1"}, subject="key-1")
    for id in ("event-key-1", "event-key-2"):
        world.invent(made | {"id": id})


def sell_when_over(world: World) -> None:
    say("order-paid", "TicketReserved", cancelUntil="2019-12-01T00:00:00Z")(world)
    for place in (world.doc("concerts/concert", CONCERT), world.logged[0]["data"]):
        place |= {"date": "2019-12-01T20:00:00-05:00", "endsAt": "2019-12-03"}


ALWAYS: list[tuple[Invariant, str, str, Break]] = [
    (Invariant.SEATS_ADD_UP, "oversold", SECTION, shrink),
    (Invariant.SEATS_ADD_UP, "oversold", SECTION, two_in_one_seat),
    (Invariant.SEATS_ADD_UP, "oversold", SECTION, tamper("concerts/section", SECTION, sold=101)),
    (Invariant.SEATS_ADD_UP, "sold-differs", SECTION, tamper("concerts/section", SECTION, sold=5)),
    (Invariant.SEATS_ADD_UP, "held-differs", SECTION, tamper("concerts/section", SECTION, held={"1795000000": 2})),
    (Invariant.SEATS_ADD_UP, "negative", SECTION, tamper("concerts/section", SECTION, sold=-1)),
    (Invariant.SEATS_ADD_UP, "total-differs", SECTION, tamper("concerts/section", SECTION, total=101)),
    (Invariant.SEATS_ADD_UP, "section-lost", SECTION, lose("concerts/section", SECTION)),
    (Invariant.SEATS_ADD_UP, "unplanned", SECTION, lose("concerts/concert", CONCERT)),
    (Invariant.SEATS_ADD_UP, "quantity-differs", "order-paid", say("order-paid", "SeatsSold", quantity=1)),
    (Invariant.LEGAL_STEPS, "sold-when-over", "reservation-paid", sell_when_over),
    (
        Invariant.LEGAL_STEPS,
        "cancelled-too-late",
        "order-returned",
        say("order-returned", "TicketReserved", cancelUntil="2019-12-01T00:00:00Z"),
    ),
    (Invariant.ONE_END, "held-twice", "order-paid", repeat("order-paid", "SeatsReserved")),
    (Invariant.ONE_END, "sold-twice", "order-paid", repeat("order-paid", "SeatsSold")),
    (Invariant.ONE_END, "released-twice", "order-declined", repeat("order-declined", "SeatsReleased")),
    (Invariant.ONE_END, "never-held", "order-paid", forget("order-paid", "SeatsReserved")),
    (Invariant.ONE_END, "expired-before-its-time", "order-hasty", early_expiry),
    (Invariant.ONE_LIVE_RESERVATION, "two-live", "order-paid", second_reservation),
    (Invariant.ONE_LIVE_RESERVATION, "two-sales", "order-paid", second_sale),
    (
        Invariant.ONE_LIVE_RESERVATION,
        "another-quantity",
        "order-paid",
        tamper("concerts/reservation", "reservation-paid", quantity=1),
    ),
    (
        Invariant.ONE_LIVE_RESERVATION,
        "another-price",
        "order-paid",
        tamper("orders/order", "order-paid", total=euro(PRICE)),
    ),
    (Invariant.ONE_CAPTURE, "charged-twice", "order-paid", charge_again),
    (Invariant.ONE_CAPTURE, "charged-twice", "order-paid", ledger("payment-paid.1", 2 * PRICE, charges=2)),
    (Invariant.ONE_CAPTURE, "charged-twice", "order-second-try", ledger("payment-second-try.1", 2 * PRICE)),
    (Invariant.ONE_CAPTURE, "charged-twice", "order-paid", repeat("order-paid", "PaymentCompleted")),
    (Invariant.ONE_CAPTURE, "wrong-amount", "order-paid", ledger("payment-paid.1", PRICE)),
    (Invariant.ONE_CAPTURE, "wrong-amount", "order-paid", ledger("payment-paid.1", 2 * PRICE, 3 * PRICE)),
    (Invariant.ONE_CAPTURE, "ledger-differs", "order-returned", ledger("payment-returned.1", 2 * PRICE)),
    (Invariant.ONE_CAPTURE, "ledger-differs", "order-declined", ledger("payment-declined.1", 2 * PRICE)),
    (Invariant.ONE_CAPTURE, "ledger-differs", "order-paid", ledger("payment-paid.1", 0)),
    (
        Invariant.ONE_CAPTURE,
        "completed-without-money",
        "order-paid",
        take_nothing,
    ),
    (Invariant.ONE_CAPTURE, "failed-after-charge", "order-paid", fail_after_the_charge),
    (Invariant.ONE_CAPTURE, "two-payments", "order-paid", second_payment),
    (Invariant.ONE_CAPTURE, "completed-and-failed", "order-paid", complete_and_fail),
    (Invariant.ONE_CAPTURE, "refunded-twice", "order-returned", repeat("order-returned", "PaymentRefunded")),
    (Invariant.ONE_CAPTURE, "refunded-unasked", "order-paid", refund_unasked),
    (Invariant.ONE_CAPTURE, "refund-of-nothing", "order-returned", forget("order-returned", "PaymentCompleted")),
    (Invariant.ONE_CAPTURE, "amount-differs", "order-paid", say("order-paid", "PaymentCompleted", amount=euro(1))),
    (
        Invariant.ONE_CAPTURE,
        "paid-without-money",
        "order-paid",
        tamper("payments/payment", "payment-paid", status="Refunded"),
    ),
    (
        Invariant.PAID_MEANS_SOLD,
        "paid-without-sold-seats",
        "order-paid",
        tamper("concerts/reservation", "reservation-paid", status="Released"),
    ),
    (Invariant.PAID_MEANS_SOLD, "paid-without-sale", "order-paid", forget("order-paid", "SeatsSold")),
    (Invariant.PAID_MEANS_SOLD, "sold-after-its-time", "order-slow", late_sale),
    (Invariant.PAID_MEANS_SOLD, "sold-unpaid", "order-free", unpaid_sale),
    (Invariant.PAID_MEANS_SOLD, "sold-and-refused", "order-paid", refuse_what_was_sold),
    (Invariant.PAID_MEANS_SOLD, "refused-twice", "order-too-late", refuse_twice),
    (Invariant.ONE_WINNER, "sold-and-released", "order-paid", sell_and_expire),
    (Invariant.ONE_WINNER, "cancel-and-pay", "order-paid", cancel_past_the_pay),
    (Invariant.ONE_WINNER, "cancel-and-pay", "order-regretted", pay_the_regretted),
    (Invariant.ONE_WINNER, "paid-order-failed", "order-paid", fail_the_paid),
    (Invariant.LEGAL_STEPS, "version-gap", "order-paid", version("orders/order", "order-paid", 4)),
    (Invariant.LEGAL_STEPS, "version-gap", "order-paid", version("concerts/reservation", "reservation-paid", 3)),
    (Invariant.LEGAL_STEPS, "rounds-have-gaps", "order-second-try", skip_a_round),
    (Invariant.LEGAL_STEPS, "never-placed", "order-paid", forget("order-paid", "OrderPlaced")),
    (Invariant.LEGAL_STEPS, "paid-unreserved", "order-paid", forget("order-paid", "TicketReserved")),
    (Invariant.LEGAL_STEPS, "placed-twice", "order-paid", repeat("order-paid", "OrderPlaced")),
    (Invariant.LEGAL_STEPS, "reserved-twice", "order-paid", repeat("order-paid", "TicketReserved")),
    (Invariant.LEGAL_STEPS, "placed-twice", "order-paid", tell_again("order-paid", "OrderPlaced")),
    (Invariant.LEGAL_STEPS, "paid-twice", "order-paid", tell_again("order-paid", "OrderPaid")),
    (Invariant.ONE_END, "released-twice", "order-declined", tell_again("order-declined", "SeatsReleased")),
    (
        Invariant.LEGAL_STEPS,
        "repeated-otherwise",
        "order-paid",
        tell_again("order-paid", "PaymentCompleted", amount=euro(1)),
    ),
    (Invariant.LEGAL_STEPS, "repeated-otherwise", "order-paid", tell_again("order-paid", "SeatsSold", quantity=1)),
    (Invariant.LEGAL_STEPS, "failed-twice", "order-declined", repeat("order-declined", "PaymentFailed")),
    (Invariant.LEGAL_STEPS, "paid-twice", "order-paid", repeat("order-paid", "OrderPaid")),
    (Invariant.LEGAL_STEPS, "cancelled-twice", "order-declined", repeat("order-declined", "OrderCancelled")),
    (Invariant.LEGAL_STEPS, "unknown-reason", "order-declined", say("order-declined", "OrderCancelled", reason="mood")),
    (Invariant.LEGAL_STEPS, "scheduled-twice", CONCERT, second_concert),
    (Invariant.LEGAL_STEPS, "key-made-twice", "key-1", same_key_twice),
    (Invariant.ONE_CONFIRMATION, "confirmation-twice", "order-paid", repeat("order-paid", "NotificationSent")),
    (Invariant.ONE_CONFIRMATION, "cancellation-twice", "order-returned", repeat("order-returned", "NotificationSent")),
    (Invariant.ONE_CONFIRMATION, "confirmed-unpaid", "order-declined", confirm_the_declined),
    (Invariant.ONE_CONFIRMATION, "cancelled-untold", "order-paid", tell_of_a_cancellation),
    (Invariant.WHOLE_LOG, "effect-before-cause", "order-paid", effect_first),
    (Invariant.WHOLE_LOG, "unknown-cause", "order-paid", cause_from_nowhere),
    (Invariant.WHOLE_LOG, "events-lost", "the log", lose_an_event),
    (Invariant.WHOLE_LOG, "logged-changed", "order-paid", publish_otherwise),
    (Invariant.WHOLE_LOG, "unknown-event", "order-paid", invent_an_event),
    (Invariant.ACKNOWLEDGED_STAYS, "order-gone", "order-gone", kept_answer_of_nothing),
    (Invariant.ACKNOWLEDGED_STAYS, "reservation-gone", "reservation-gone", kept_hold_of_nothing),
    (Invariant.LOG_GIVES_STORES, "unreadable", "order-paid", spoil),
    (Invariant.LOG_GIVES_STORES, "order-lost", "order-paid", lose("orders/order", "order-paid")),
    (
        Invariant.LOG_GIVES_STORES,
        "order-differs",
        "order-paid",
        tamper("orders/order", "order-paid", status="Cancelled"),
    ),
    (Invariant.LOG_GIVES_STORES, "order-differs", "order-paid", tamper("orders/order", "order-paid", userId="user-2")),
    (
        Invariant.LOG_GIVES_STORES,
        "reservation-lost",
        "order-paid",
        lose("concerts/reservation", "reservation-paid"),
    ),
    (
        Invariant.LOG_GIVES_STORES,
        "reservation-differs",
        "order-declined",
        tamper("concerts/reservation", "reservation-declined", releasedFor="hold-expired"),
    ),
    (Invariant.LOG_GIVES_STORES, "payment-lost", "order-paid", lose("payments/payment", "payment-paid")),
    (
        Invariant.LOG_GIVES_STORES,
        "payment-differs",
        "order-paid",
        tamper("payments/payment", "payment-paid", status="Failed"),
    ),
    (
        Invariant.LOG_GIVES_STORES,
        "notification-lost",
        "order-paid",
        lose("notifications/notification", "confirmation-paid"),
    ),
    (
        Invariant.LOG_GIVES_STORES,
        "notification-differs",
        "order-paid",
        tamper("notifications/notification", "confirmation-paid", status="Pending"),
    ),
    (Invariant.LOG_GIVES_STORES, "concert-differs", CONCERT, move_the_section),
    (Invariant.LOG_GIVES_STORES, "concert-differs", CONCERT, tamper("concerts/concert", CONCERT, artist="B")),
    (Invariant.LOG_GIVES_STORES, "concert-differs", CONCERT, tamper("concerts/concert", CONCERT, maxPerOrder=99)),
    (
        Invariant.LOG_GIVES_STORES,
        "concert-differs",
        CONCERT,
        tamper("concerts/concert", CONCERT, onSaleAt="2027-01-01T00:00:00Z"),
    ),
    (
        Invariant.ONE_LIVE_RESERVATION,
        "price-differs",
        SECTION,
        tamper("concerts/section", SECTION, price=euro(1)),
    ),
    (
        Invariant.LOG_GIVES_STORES,
        "order-differs",
        "order-paid",
        tamper("orders/order", "order-paid", paymentMethod="card-other"),
    ),
    (Invariant.LOG_GIVES_STORES, "total-differs", "order-paid", say("order-paid", "OrderPaid", total=euro(1))),
    (
        Invariant.LOG_GIVES_STORES,
        "total-differs",
        "order-returned",
        say("order-returned", "OrderCancelled", total=euro(1)),
    ),
    (Invariant.LOG_GIVES_STORES, "user_id-differs", "order-paid", say("order-paid", "TicketReserved", userId="user-2")),
    (
        Invariant.LOG_GIVES_STORES,
        "payment-differs",
        "order-paid",
        tamper("payments/payment", "payment-paid", section="gallery"),
    ),
    (
        Invariant.LOG_GIVES_STORES,
        "payment-differs",
        "order-paid",
        say("order-paid", "PaymentCompleted", reservationId="reservation-other"),
    ),
    (
        Invariant.LOG_GIVES_STORES,
        "notification-differs",
        "order-paid",
        tamper("notifications/notification", "confirmation-paid", channel="sms"),
    ),
    (
        Invariant.LOG_GIVES_STORES,
        "notification-differs",
        "order-paid",
        tamper("notifications/notification", "confirmation-paid", paid=euro(1)),
    ),
    (
        Invariant.LOG_GIVES_STORES,
        "notification-differs",
        "order-paid",
        tamper("notifications/notification", "confirmation-paid", paidAt=rfc3339(NOON - timedelta(days=1))),
    ),
    (
        Invariant.LOG_GIVES_STORES,
        "notification-differs",
        "order-paid",
        say("order-paid", "NotificationSent", paymentId=None),
    ),
    (Invariant.ONE_CONFIRMATION, "receipt-of-nothing", "order-paid", give_a_receipt_for_nothing),
    (Invariant.ACKNOWLEDGED_STAYS, "order-changed", "order-paid", kept_answer_of_another_price),
    (Invariant.LOG_GIVES_STORES, "concert-lost", CONCERT, lose("concerts/concert", CONCERT)),
    (
        Invariant.LOG_GIVES_STORES,
        "another-document",
        "order-paid",
        tamper("orders/order", "order-paid", id="order-other"),
    ),
]

ONCE_QUIET: list[tuple[Invariant, str, str, Break]] = [
    (Invariant.SETTLES, "stuck", "order-open", leave_reserved),
    (Invariant.ONE_CAPTURE, "money-without-payment", "key payment-unknown.1", ledger("payment-unknown.1", 900)),
    (Invariant.SETTLES, "payment-stuck", "order-open", leave_reserved),
    (Invariant.SETTLES, "payment-stuck", "order-paid", stop_refunding),
    (Invariant.SETTLES, "message-stuck", "order-declined", leave_a_message_unsent),
    (Invariant.SETTLES, "held-past-its-time", "reservation reservation-for-ever", hold_for_ever),
    (Invariant.SETTLES, "held-for-nobody", "order-left", hold_for_the_declined),
    (Invariant.SETTLES, "outbox", "the outbox", leave_in_the_outbox),
    (Invariant.WHOLE_LOG, "not-in-the-log", "reservation reservation-nobody", leave_in_the_outbox),
    (Invariant.SETTLES, "unexplained-letter", "dead letter letter-1", letter_without_reason),
    (Invariant.SETTLES, "never-charged", "order-new", forget_to_charge),
    (Invariant.ONE_CAPTURE, "money-kept", "order-paid", keep_the_money),
    (Invariant.ONE_CAPTURE, "money-differs", "order-paid", keep_the_money),
    (Invariant.ONE_CONFIRMATION, "never-told", "order-paid", forget_to_confirm),
    (Invariant.SETTLES, "never-told", "order-second-thoughts", forget_to_tell_of_the_second),
]


def named(table: list[tuple[Invariant, str, str, Break]]) -> list[str]:
    return [f"{number}-{rule}" for number, (_, rule, _, _) in enumerate(table)]


@pytest.mark.parametrize(("invariant", "rule", "about", "break_it"), ALWAYS, ids=named(ALWAYS))
def test_a_broken_world_is_found_and_named(invariant: Invariant, rule: str, about: str, break_it: Break) -> None:
    world = busy_world()
    break_it(world)
    found = [each for each in world.check().violations if each.rule == rule and about in each.subject]
    assert found, world.check().violations
    assert {each.invariant for each in found} == {invariant}


@pytest.mark.parametrize(("invariant", "rule", "about", "break_it"), ONCE_QUIET, ids=named(ONCE_QUIET))
def test_what_is_left_undone_is_found_once_all_is_quiet(
    invariant: Invariant, rule: str, about: str, break_it: Break
) -> None:
    world = busy_world()
    break_it(world)
    assert rule not in rules(world.check())
    found = [each for each in world.check(quiet=True).violations if each.rule == rule and about in each.subject]
    assert found, world.check(quiet=True).violations
    assert {each.invariant for each in found} == {invariant}


def test_an_order_and_seats_that_no_event_tells_of_are_found() -> None:
    world = busy_world()
    gone = {event["id"] for event in world.logged if event["data"].get("orderId") == "order-paid"}
    world.logged = [event for event in world.logged if event["id"] not in gone]
    world.committed -= len(gone)
    assert {"order-untold", "reservation-untold", "notification-differs"} <= rules(world.check())


# The log as a chain


def chained(world: World, break_it: Callable[[list[Row]], None]) -> Report:
    snapshot = world.snapshot()
    records = dict(snapshot.records)
    entries = list(records["audit/event"])
    break_it(entries)
    records["audit/event"] = entries
    return check(MemorySnapshot(records, (), snapshot.lines, snapshot.committed), now=world.now)


def body(row: Row) -> Json:
    assert not isinstance(row.body, bytes)
    return dict(row.body)


def drop_entry(entries: list[Row]) -> None:
    del entries[5]


def change_entry(entries: list[Row]) -> None:
    changed = body(entries[5])
    changed["event"] = changed["event"] | {"source": "another"}
    entries[5] = entries[5]._replace(body=changed)


def swap_entries(entries: list[Row]) -> None:
    entries[5], entries[6] = entries[6], entries[5]


def cut_the_end(entries: list[Row]) -> None:
    del entries[-1]


def rename_entry(entries: list[Row]) -> None:
    entries[5] = entries[5]._replace(id="event-other")


def spoil_entry(entries: list[Row]) -> None:
    entries[5] = entries[5]._replace(body=b"{")


def double_entry(entries: list[Row]) -> None:
    entries.append(entries[5])


@pytest.mark.parametrize(
    ("rule", "break_it"),
    [
        ("gap", drop_entry),
        ("hash", change_entry),
        ("gap", swap_entries),
        ("head", cut_the_end),
        ("another-event", rename_entry),
        ("unreadable", spoil_entry),
        ("logged-twice", double_entry),
    ],
)
def test_a_log_that_was_tampered_with_is_found(rule: str, break_it: Callable[[list[Row]], None]) -> None:
    report = chained(busy_world(), break_it)
    found = [each for each in report.violations if each.rule == rule]
    assert found
    assert {each.invariant for each in found} == {Invariant.WHOLE_LOG}


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
