"""A cart's lines: which orders they are, by their ids, and its payment as one for each of them."""

import re

from cludale_proof.checker.documents import Payment

_LINE = re.compile(r"order-([^.]+)\.([0-9a-z]{12})?ca(\d\d)")


def cart_of(order_id: str) -> str | None:
    """The cart that an order is a line of, as its id says; None: of none."""
    found = _LINE.fullmatch(order_id)
    return None if found is None else "cart-" + ".".join(filter(None, (found[1], found[2])))


def is_first_line(order_id: str) -> bool:
    """Is it the line of its cart by which the buyer is told of all?"""
    return order_id.endswith("ca01")


def lines_of(payment: Payment) -> list[Payment]:
    """A cart's payment as one for each of its lines; of any other none."""
    return [
        Payment(
            id=f"payment-{share.order_id.partition('-')[2]}",
            order_id=share.order_id,
            concert_id=share.seats.concert_id,
            reservation_id=share.seats.reservation_id,
            section=share.seats.section,
            quantity=share.seats.quantity,
            amount=share.amount,
            status=payment.status if share.refunded_at is None else "Refunded",
            round=payment.round,
            tries=payment.tries,
            closing=payment.closing,
            refunding=share.refunding,
            closed=share.closed or payment.closed,
            parts=share.parts,
        )
        for share in payment.shares
    ]
