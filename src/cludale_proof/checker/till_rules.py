"""The rules of the box office: what is paid there is noted as taken once, as it was sold, and the provider has none of
it; what is complimentary costs nothing, and nothing else costs nothing for that reason.
"""

from collections.abc import Iterator

import msgspec

from cludale_proof.checker.cases import Case
from cludale_proof.checker.documents import Till
from cludale_proof.checker.findings import Invariant
from cludale_proof.checker.history import OrderHistory, PaymentTold, Wrong

_FREE = "complimentary"


def always(case: Case, told: OrderHistory, *, ledger_known: bool, whole: bool) -> Iterator[Wrong]:
    """What is wrong at any instant. `whole`: all events up to it are known."""
    order = case.order
    till = None if order is None else order.till
    placed, reserved = told.order.placed, told.order.reserved
    for fact in (placed, reserved):
        if order is not None and fact is not None and fact.event.data.till != till:
            detail = f"it is sold by {till}, and {fact.event.type} says {fact.event.data.till}"
            yield Wrong(Invariant.LOG_GIVES_STORES, "till-differs", detail, (fact,))
    for payment in case.payments:
        if order is not None and reserved is not None and payment.till != till and payment.end is not None:
            detail = f"it is sold by {till}, and payment {payment.id} says {payment.till}"
            yield Wrong(Invariant.LOG_GIVES_STORES, "till-differs", detail, ())
        if payment.till is not None and ledger_known:
            asked = [line for line in case.ledger.values() if line.payment_id == payment.id]
            if asked:
                detail = f"it was paid at the box office, and the provider was asked for {asked[0].key}"
                yield Wrong(Invariant.ONE_CAPTURE, "till-asked-provider", detail, ())
    yield from _check_till(case, told, till, whole=whole)
    yield from _free(case, till)


def _check_till(case: Case, told: OrderHistory, till: Till | None, *, whole: bool) -> Iterator[Wrong]:
    """One record of money taken, by whoever sold it; what went back is by whoever gave it back, if that is said."""
    order = case.order
    if order is None:
        return
    payments: list[PaymentTold] = list(told.payments.values())
    taken = [fact for payment in payments for fact in payment.completed.values()]
    back = [fact for payment in payments for fact in payment.refunded.values()]
    for fact in taken:
        if fact.event.data.till != till:
            detail = f"it was sold by {till}, and its money was taken by {fact.event.data.till}"
            yield Wrong(Invariant.ONE_CAPTURE, "till-taken-otherwise", detail, (fact,))
    if till is not None and (len(taken) > 1 or (whole and told.order.paid is not None and not taken)):
        detail = f"it was sold at the box office, and {len(taken)} records say that money was taken"
        yield Wrong(Invariant.ONE_CAPTURE, "till-taken-once", detail, tuple(taken))
    off = told.order.on_purpose
    for fact in back:
        wanted = till
        if till is not None and off is not None and off.event.data.seller is not None:
            wanted = msgspec.structs.replace(till, seller=off.event.data.seller)
        may_be = (wanted, till) if told.refusals else (wanted,)  # there were no seats for it, before anybody cancelled
        if fact.event.data.till not in may_be and whole:
            detail = f"its money is to go back by {wanted}, and went back by {fact.event.data.till}"
            yield Wrong(Invariant.ONE_CAPTURE, "till-back-otherwise", detail, (fact,))


def _free(case: Case, till: Till | None) -> Iterator[Wrong]:
    """What is complimentary costs nothing and its bill says so; no other bill does."""
    order = case.order
    if order is None or order.total is None:
        return
    is_free = till is not None and till.method == _FREE
    says_so = bool((order.bill or {}).get("complimentary", False))
    if is_free is not says_so:
        detail = f"it is sold by {till}, and its bill is {'' if says_so else 'not '}complimentary"
        yield Wrong(Invariant.ONE_CAPTURE, "complimentary-differs", detail, ())
    if is_free and order.total.amount:
        detail = f"it is complimentary, and costs {order.total}"
        yield Wrong(Invariant.ONE_CAPTURE, "complimentary-charged", detail, ())
