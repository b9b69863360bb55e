"""Each way to break a good world is found, named and shown."""

from datetime import timedelta

import pytest
from tests.proof.checker.breaks import (
    SECTION,
    Break,
    cancel_past_the_pay,
    cause_from_nowhere,
    charge_again,
    complete_and_fail,
    confirm_the_declined,
    early_expiry,
    effect_first,
    fail_after_the_charge,
    fail_the_paid,
    forget,
    forget_to_charge,
    forget_to_confirm,
    forget_to_tell_of_the_second,
    give_a_receipt_for_nothing,
    hold_for_ever,
    hold_for_the_declined,
    invent_an_event,
    keep_the_money,
    kept_answer_of_another_price,
    kept_answer_of_nothing,
    kept_hold_of_nothing,
    late_sale,
    leave_a_message_unsent,
    leave_in_the_outbox,
    leave_reserved,
    ledger,
    letter_without_reason,
    lose,
    lose_an_event,
    move_the_section,
    pay_the_regretted,
    publish_otherwise,
    refund_unasked,
    refuse_twice,
    refuse_what_was_sold,
    repeat,
    same_key_twice,
    say,
    second_concert,
    second_payment,
    second_reservation,
    second_sale,
    sell_and_expire,
    sell_when_over,
    shrink,
    skip_a_round,
    spoil,
    stop_refunding,
    take_nothing,
    tamper,
    tell_again,
    tell_of_a_cancellation,
    two_in_one_seat,
    unpaid_sale,
    version,
)
from tests.proof.checker.worlds import (
    CONCERT,
    NOON,
    PRICE,
    busy_world,
    euro,
    rfc3339,
    rules,
)

from cludale_proof.checker import Invariant

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
