"""Ways to break a good world, one each; and what is needed to write one down in a line."""

from collections.abc import Callable

from tests.proof.checker.worlds import CONCERT, PRICE, STALLS, World, encoded, euro, rfc3339

from cludale_proof.checker import LedgerLine

Break = Callable[[World], None]

SECTION = f"{CONCERT}/{STALLS}"


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
