"""The rules of carts: orders that are placed and charged together, all paid or none.

Each line is an order like any other, and has to hold what `order_rules.py` says of it. Here is what holds of all of
them: they are those that the cart was placed with, their totals are what was charged, it was charged once, and in the
end all of them were paid or none is.
"""

from collections.abc import Iterator
from typing import NamedTuple

from cludale_proof.checker import books_rules
from cludale_proof.checker.cart_lines import cart_of, is_first_line
from cludale_proof.checker.cases import Case
from cludale_proof.checker.documents import Money, Payment
from cludale_proof.checker.findings import Invariant, Violation, in_story_order
from cludale_proof.checker.history import OrderHistory, PaymentTold
from cludale_proof.checker.lifecycle import CART_EVENTS


class _Line(NamedTuple):
    """What is known of one line."""

    id: str
    status: str | None
    was_paid: bool
    total: Money | None
    returned: int
    """Minor units of its total that went back in part."""
    is_confirmed: bool
    """Its buyer was told that it is paid; or that was given up."""


class CartBook:
    """Every cart, and its lines."""

    def __init__(self, *, ledger_known: bool = True, ledger_exact: bool = True) -> None:
        """As in `Terms`."""
        self._ledger_known = ledger_known
        self._ledger_exact = ledger_exact
        self._lines: dict[str, dict[str, _Line]] = {}
        self._carts: dict[str, tuple[Case, OrderHistory]] = {}

    def case(self, case: Case, told: OrderHistory) -> None:
        """Take in a case, if it is a cart or one of its lines."""
        if case.is_cart:
            self._carts[case.key] = case, told
            return
        cart = cart_of(case.key)
        order = case.order
        if cart is None or order is None:
            return
        sent = told.notifications.get("confirmation", ())
        given_up = any(each.kind == "confirmation" and each.status == "Failed" for each in case.notifications)
        self._lines.setdefault(cart, {})[order.id] = _Line(
            order.id,
            order.status,
            told.order.paid is not None,
            order.total,
            sum(fact.event.data.part.amount.amount for fact in told.parts.values() if fact.event.data.part),
            bool(sent) or given_up,
        )

    def found(self, *, quiet: bool) -> Iterator[Violation]:
        """Every rule that a cart breaks. `quiet`: nothing is under way any more."""
        for id in self._lines.keys() - self._carts.keys() if quiet else ():
            yield _broken(Case(id), Invariant.LOG_GIVES_STORES, "cart-untold", "it has lines, and no event tells of it")
        for id, (case, told) in self._carts.items():
            lines = self._lines.get(id, {})
            reserved = next((f for f in case.facts if f.event.type == "CartReserved"), None)
            if reserved is None:
                continue  # a payment that was cancelled before it began
            yield from self._charged_once(case, told)
            if quiet:
                yield from self._as_placed(case, lines)
                yield from self._all_or_none(case, lines)
                yield from self._money(case, told, lines)

    def _as_placed(self, case: Case, lines: dict[str, _Line]) -> Iterator[Violation]:
        for fact in (each for each in case.facts if each.event.type in CART_EVENTS):
            data, said = fact.event.data, fact.event.data.lines or ()
            named = {str(each["orderId"]): int(each["total"]["amount"]) for each in said}
            if named.keys() != lines.keys():
                detail = f"it was placed with {sorted(named)}, and there are {sorted(lines)}"
                yield _broken(case, Invariant.LOG_GIVES_STORES, "cart-lines-differ", detail)
            if data.total is not None and data.total.amount != sum(named.values()):
                detail = f"it costs {data.total}, and its lines {sum(named.values())} together"
                yield _broken(case, Invariant.ONE_CAPTURE, "cart-total-differs", detail)
            for id, amount in named.items():
                total = None if id not in lines else lines[id].total
                if total is not None and total.amount != amount:
                    detail = f"its line {id} costs {total}, and the cart says {amount}"
                    yield _broken(case, Invariant.ONE_CAPTURE, "cart-total-differs", detail)
            if fact.event.type == "CartPaid" and not all(line.was_paid for line in lines.values()):
                yield _broken(
                    case, Invariant.PAID_MEANS_SOLD, "cart-paid-early", "it is told as Paid, and a line is not"
                )

    def _charged_once(self, case: Case, told: OrderHistory) -> Iterator[Violation]:
        heads = [payment for payment in case.payments if payment.shares]
        for head in heads:
            if head.amount.amount != sum(share.amount.amount for share in head.shares):
                detail = f"payment {head.id} is over {head.amount}, and its lines' shares are not"
                yield _broken(case, Invariant.ONE_CAPTURE, "cart-total-differs", detail)
            for wrong in books_rules.mends_as_told(head, told.payments.get(head.id, PaymentTold())):
                yield _broken(case, wrong.invariant, wrong.rule, wrong.detail)
        if not self._ledger_known:
            return
        known = {head.id: head for head in heads}
        errs = books_rules.wrong_keys(case)
        sound = [line for line in case.ledger.values() if line.key not in errs]
        if sum(line.net > 0 for line in sound) > 1 or any(line.charges > 1 for line in sound):
            detail = f"the provider took its money more than once: {', '.join(line.key for line in sound)}"
            yield _broken(case, Invariant.ONE_CAPTURE, "cart-charged-twice", detail)
        for line in sound:
            owner = known.get(line.payment_id)
            if owner is None or line.captured not in {0, owner.amount.amount}:
                detail = f"under {line.key} the provider took {line.captured}"
                yield _broken(case, Invariant.ONE_CAPTURE, "cart-charged-otherwise", detail)

    def _all_or_none(self, case: Case, lines: dict[str, _Line]) -> Iterator[Violation]:
        paid = [line.id for line in lines.values() if line.was_paid]
        kept = [line.id for line in lines.values() if line.status == "Paid"]
        if kept and len(paid) < len(lines):
            detail = f"{', '.join(kept)} are Paid, and {len(lines) - len(paid)} of its lines never were"
            yield _broken(case, Invariant.PAID_MEANS_SOLD, "cart-half-paid", detail)
        told = [fact for fact in case.facts if fact.event.type == "CartPaid"]
        if kept and not told:
            yield _broken(case, Invariant.SETTLES, "cart-never-told", "its lines are Paid, and no CartPaid says so")
        first = next((line for line in lines.values() if is_first_line(line.id)), None)
        if told and first is not None and not first.is_confirmed:
            detail = "it is Paid, and its buyer was sent no confirmation"
            yield _broken(case, Invariant.ONE_CONFIRMATION, "never-told", detail)
        if any(line.is_confirmed for line in lines.values() if not is_first_line(line.id)):
            detail = "a line was confirmed by itself, beside the cart"
            yield _broken(case, Invariant.ONE_CONFIRMATION, "confirmation-twice", detail)

    def _money(self, case: Case, told: OrderHistory, lines: dict[str, _Line]) -> Iterator[Violation]:
        """Money in is money out and money kept, to the cent."""
        if not case.payments:
            yield _broken(case, Invariant.SETTLES, "never-charged", "it has seats and no payment")
        for payment in case.payments:
            if payment.status == "Pending" or payment.closing or _is_open(payment):
                detail = f"payment {payment.id} is {payment.status}, with something left to do"
                yield _broken(case, Invariant.SETTLES, "payment-stuck", detail)
        for wrong in books_rules.once_quiet(case, told):
            yield _broken(case, wrong.invariant, wrong.rule, wrong.detail)
        if not (self._ledger_known and self._ledger_exact) or books_rules.shown_keys(case):
            return
        kept = [line for line in lines.values() if line.status == "Paid" and line.total is not None]
        owed = sum(line.total.amount - line.returned for line in kept if line.total is not None)
        net = sum(line.net for line in case.ledger.values())
        if net != owed:
            detail = f"the provider keeps {net} of it, and {owed} are right"
            yield _broken(case, Invariant.ONE_CAPTURE, "money-differs", detail)


def _is_open(payment: Payment) -> bool:
    return any(share.refunding or any(each.done_at is None for each in share.parts) for share in payment.shares)


def _broken(case: Case, invariant: Invariant, rule: str, detail: str) -> Violation:
    return Violation(
        invariant=invariant,
        rule=rule,
        subject=f"cart {case.key}",
        detail=detail,
        evidence=(),
        story=in_story_order(case.facts),
    )
