"""The provider's books against the payments, where the provider itself did something wrong.

Elsewhere the books have to be right at any moment (`money_rules.py`). Where the provider erred, they have to be right
in the end: what it should not have is back, once, or the difference is shown for a person.
"""

from collections.abc import Iterator

from cludale_proof.checker.cases import Case
from cludale_proof.checker.documents import Payment
from cludale_proof.checker.findings import Invariant
from cludale_proof.checker.history import OrderHistory, PaymentTold, Wrong
from cludale_proof.checker.ledger import LedgerLine
from cludale_proof.checker.lifecycle import DIFFERS


def wrong_keys(case: Case) -> set[str]:
    """Keys of charges of which the books may be wrong, as far as is known."""
    return case.erring | {fact.event.data.key or "" for fact in case.facts if fact.event.type == DIFFERS}


def shown_keys(case: Case) -> set[str]:
    """Keys of which a difference is shown for a person."""
    return {
        fact.event.data.key or ""
        for fact in case.facts
        if fact.event.type == DIFFERS and not fact.event.data.mends_itself
    }


def mends_as_told(payment: Payment, told: PaymentTold) -> Iterator[Wrong]:
    """The mends that are done are those that events tell of."""
    done = {each.number: (each.kind, each.key, each.amount) for each in payment.mends if each.done_at is not None}
    said = {n: (fact.event.data.kind, fact.event.data.key, fact.event.data.amount) for n, fact in told.mends.items()}
    if done != said:
        detail = f"payment {payment.id} has the mends {done}, its events tell of {said}"
        yield Wrong(Invariant.LOG_GIVES_STORES, "mends-differ", detail, tuple(told.mends.values()))


def once_quiet(case: Case, told: OrderHistory) -> Iterator[Wrong]:
    """Whatever the provider did wrong is mended, or shown."""
    payments = {payment.id: payment for payment in case.payments}
    for payment in case.payments:
        for mend in payment.mends:
            if mend.done_at is None:
                detail = f"payment {payment.id} has yet to give back {mend.amount} of {mend.key}"
                yield Wrong(Invariant.SETTLES, "mend-stuck", detail, ())
    shown = shown_keys(case)
    for key in sorted(wrong_keys(case) - shown):
        line, owner = case.ledger.get(key), payments.get(key.rpartition(".")[0])
        if line is None or owner is None:
            continue
        right = _to_keep(line, owner)
        if line.net != right:
            detail = f"under {key} the provider keeps {line.net}, {right} are right, and no difference is shown"
            mends = told.payments.get(owner.id, PaymentTold()).mends
            yield Wrong(Invariant.ONE_CAPTURE, "books-differ", detail, tuple(mends.values()))


def _to_keep(line: LedgerLine, payment: Payment) -> int:
    """What the provider is to keep of it, in minor units."""
    if payment.status != "Completed" or line.round != payment.round:
        return 0
    return payment.amount.amount - payment.all_parts
