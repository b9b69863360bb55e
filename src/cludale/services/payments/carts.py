"""One payment for several orders: the money of a cart. No I/O, clock or HTTP.

The cart's payment is charged as any other is, in rounds of attempts, once for all lines. What it has for each line
(`Share`) is what an order's payment knows beside its charge: what went back of it, and what is on its way. Decisions
about one line's money are those of `domain.py`, made on the line as if it had a payment of its own (`line_of`), and put
back (`with_line`). So a line is refunded by the rules of any order, from the cart's charge.
"""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from cludale.kernel.carts import cart_of
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.services.orders.events import CartReserved, OrderCancelled
from cludale.services.payments import domain, refunds
from cludale.services.payments.domain import Moved
from cludale.services.payments.events import FailureReason, PaymentCompleted, PaymentFailed, PaymentMended
from cludale.services.payments.payment import AttemptLimits, Payment, Share, Status, payment_id


def record_id(order_id: str) -> str:
    """The id of the payment that this order's money is in: its own, or its cart's."""
    return payment_id(cart_of(order_id) or order_id)


def as_begun(cart: CartReserved, *, at: datetime) -> Payment:
    """The payment of a cart that can be paid since `at`."""
    return Payment(
        id=payment_id(cart.cart_id),
        order_id=cart.cart_id,
        allocation=cart.lines[0].seats,
        amount=cart.total,
        method=cart.payment_method,
        status=Status.PENDING,
        created_at=at,
        expires_at=cart.expires_at,
        shares=tuple(Share(order_id=line.order_id, amount=line.total, seats=line.seats) for line in cart.lines),
    )


def begin(
    payment: Payment | None, cart: CartReserved, *, cause: Cause, now: datetime, limits: AttemptLimits
) -> Decision[Payment]:
    """The cart can be paid: its payment is Pending and its first attempt under way. What is free is paid at once.

    Of one that was cancelled before, it is noted which lines it had.
    """
    if payment is not None and not payment.shares:
        return Decision(replace(as_begun(cart, at=payment.created_at), status=Status.FAILED, closed=True))
    if payment is not None:
        return Decision(payment)
    begun = replace(as_begun(cart, at=now), due_at=domain.lease(now, limits), cause=cause)
    if begun.asks_provider or domain.is_too_late(begun, now):
        return Decision(begun)
    return domain.ended(begun, domain.completed(begun), now=now, limits=limits)


def line_of(payment: Payment, order_id: str) -> Payment:
    """This line's money, as if it had a payment of its own. Raises KeyError."""
    share = next((each for each in payment.shares if each.order_id == order_id), None)
    if share is None:
        raise KeyError(order_id)
    status = payment.status if share.refunded_at is None else Status.REFUNDED
    return replace(
        payment,
        id=payment_id(order_id),
        order_id=order_id,
        amount=share.amount,
        allocation=share.seats,
        status=status,
        due_at=share.due_at,
        refunding=share.refunding,
        refunded_at=share.refunded_at,
        closed=share.closed or payment.closed,
        parts=share.parts,
        part_tries=share.part_tries,
        cause=payment.cause if share.cause is None else share.cause,
        retells=0,
        mends=(),
        shares=(),
    )


def lines_of(payment: Payment) -> list[Payment]:
    """All of them; for the payment of one order, that."""
    return [line_of(payment, share.order_id) for share in payment.shares] or [payment]


def seen_as(payment: Payment, order_id: str) -> Payment:
    """What an order's payment is taken for: its own, or its share of its cart's."""
    if not payment.shares or payment.order_id == order_id:
        return payment
    return line_of(payment, order_id)


def with_line(payment: Payment, line: Payment) -> Payment:
    """The cart's payment with this line as it is now. What is due for a line is due for the cart, beside a mend or the
    end of a round that is to be told again.
    """
    shares: list[Share] = []
    for share in payment.shares:
        if share.order_id != line.order_id:
            shares.append(share)
            continue
        shares.append(
            replace(
                share,
                closed=line.closed,
                refunding=line.refunding,
                refunded_at=line.refunded_at,
                parts=line.parts,
                part_tries=line.part_tries,
                due_at=line.due_at,
                cause=line.cause,
            )
        )
    if payment.status is Status.PENDING:
        return replace(payment, shares=tuple(shares))
    due = [each.due_at for each in shares if each.due_at is not None]
    if payment.due_at is not None and (payment.open_mend is not None or payment.retells):
        due.append(payment.due_at)
    return replace(payment, shares=tuple(shares), due_at=min(due, default=None))


def of_line(payment: Payment, order_id: str, decide: Callable[[Payment], Decision[Payment]]) -> Decision[Payment]:
    """What is decided about one line, as a decision about the cart's payment."""
    before = line_of(payment, order_id)
    decision = decide(before)
    after = payment if decision.state is before else with_line(payment, decision.state)
    return replace(decision, state=after)


def next_owed(payment: Payment) -> Payment | None:
    """The line whose money is given back next, if any is owed: the one that is due first."""
    if payment.status is not Status.COMPLETED:
        return None
    owed = [line for line in lines_of(payment) if _owes(line)]
    return min(owed, key=lambda line: line.due_at or line.created_at, default=None)


def put_off(payment: Payment, order_id: str, *, until: datetime) -> Payment:
    """The provider gave no answer: give back again at `until`, if that is still to be done."""
    line = line_of(payment, order_id)
    return with_line(payment, replace(line, part_tries=line.part_tries + 1, due_at=until)) if _owes(line) else payment


def _owes(line: Payment) -> bool:
    return line.refunding or line.open_part is not None


def evolve(payment: Payment, event: Moved, *, at: datetime) -> Payment:
    """The cart's payment after this fact about one of its lines, or about its charge."""
    if isinstance(event, PaymentMended):
        return domain.evolve(payment, event, at=at)
    if isinstance(event, PaymentCompleted | PaymentFailed):
        return domain.evolve(payment, event, at=at)
    line = line_of(payment, event.order_id)
    after = domain.evolve(line, event, at=at)
    return payment if after is line else with_line(payment, after)


def order_cancelled(
    payment: Payment | None, order: OrderCancelled, *, cause: Cause, now: datetime
) -> Decision[Payment] | None:
    """A line was cancelled on purpose. While nothing is taken, that ends the charge of the whole cart."""
    if not order.reason.is_on_purpose:
        return Decision(payment) if payment is not None else None
    if payment is None or not payment.shares:
        return Decision(payment) if payment is not None else refunds.never(_paid_by(order), order, now=now)
    if payment.status is Status.COMPLETED:
        return of_line(
            payment,
            order.order_id,
            lambda line: refunds.order_cancelled(line, order, cause=cause, now=now) or Decision(line),
        )
    line = line_of(payment, order.order_id)
    if payment.closed:
        return Decision(payment)
    closed = replace(with_line(payment, replace(line, closed=True)), closed=True, cause=cause)
    if payment.status is Status.PENDING:
        return Decision(domain.close(closed, payment.closing or FailureReason.CANCELLED, now=now))
    return Decision(closed)


def _paid_by(order: OrderCancelled) -> str:
    return cart_of(order.order_id) or order.order_id
