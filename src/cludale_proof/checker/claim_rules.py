"""What clients were answered about an order stays true."""

from collections.abc import Iterator

from cludale_proof.checker.cases import CaseCheck, state_of
from cludale_proof.checker.findings import Invariant, Violation
from cludale_proof.checker.history import ON_PURPOSE
from cludale_proof.checker.observations import Claim


class Claims(CaseCheck):
    """What clients were told."""

    def always(self) -> Iterator[Violation]:
        """Which answers were not kept."""
        for claim in self.case.claims:
            if claim.thing == "order":
                yield from self._claimed_order(claim)
            elif claim.thing == "payment":
                yield from self._claimed_payment(claim)
            elif claim.thing == "admission":
                if self.terms.whole and all(fact.event.data.scan_id != claim.id for fact in self.told.tickets):
                    yield self._unkept(claim, "admission-gone", f"scan {claim.id} was let in, and no event tells of it")
            elif not any(r.id == claim.id and r.quantity == claim.quantity for r in self.case.reservations):
                yield self._unkept(claim, "reservation-gone", f"{claim.quantity} seats of {claim.id} were promised")
        yield from self._seen_steps()

    def _unkept(self, claim: Claim, rule: str, detail: str) -> Violation:
        return self.broken(Invariant.ACKNOWLEDGED_STAYS, rule, f"{claim.by} was answered: {detail}")

    def _claimed_order(self, claim: Claim) -> Iterator[Violation]:
        order, told = self.case.order, self.told.order
        if order is None:
            yield self._unkept(claim, "order-gone", f"order {claim.id} {claim.status}; there is no such order")
            return
        for name in ("quantity", "concert_id", "user_id", "total"):
            said = getattr(claim, name)
            if said is not None and said != getattr(order, name):
                yield self._unkept(claim, "order-changed", f"{name} {said}; it is {getattr(order, name)}")
        if not self.terms.whole:
            return
        had = {
            "Pending": told.placed is not None,
            "Reserved": told.reserved is not None,
            "Paid": told.paid is not None,
            "Cancelled": told.failed is not None or told.on_purpose is not None,
        }
        if claim.status is not None and not had.get(claim.status, False):
            yield self._unkept(claim, "status-never-had", f"{claim.status}; it never was")
        elif (claim.on_purpose or claim.reason in ON_PURPOSE) and told.on_purpose is None:
            yield self._unkept(claim, "cancellation-lost", "it is cancelled, on purpose; no OrderCancelled says so")

    def _claimed_payment(self, claim: Claim) -> Iterator[Violation]:
        payment = next((payment for payment in self.case.payments if payment.id == claim.id), None)
        if payment is None:
            yield self._unkept(claim, "payment-gone", f"payment {claim.id}; there is no such payment")
        elif claim.status == "Completed" and payment.status not in {"Completed", "Refunded"}:
            yield self._unkept(claim, "payment-undone", f"Completed; {state_of(payment)}")

    def _seen_steps(self) -> Iterator[Violation]:
        """Answers that came after one another must be in the order of the order's life."""
        claims = [each for each in self.case.claims if each.thing == "order"]
        departures = sorted((each.sent_at, at) for at, each in enumerate(claims) if each.sent_at is not None)
        arrivals = sorted((each.received_at, at) for at, each in enumerate(claims) if each.received_at is not None)
        arrived = 0
        last: Claim | None = None
        for sent, at in departures:
            while arrived < len(arrivals) and arrivals[arrived][0] < sent:
                last = claims[arrivals[arrived][1]]
                arrived += 1
            claim = claims[at]
            if last is not None and claim.status not in _seen_after(last):
                yield self.broken(
                    Invariant.LEGAL_STEPS,
                    "seen-going-back",
                    f"{last.by} was answered {last.status}, and then {claim.by} was answered {claim.status}",
                )


def _seen_after(claim: Claim) -> frozenset[str | None]:
    match claim.status:
        case "Pending" | None:
            return frozenset({"Pending", "Reserved", "Paid", "Cancelled", None})
        case "Reserved":
            return frozenset({"Reserved", "Paid", "Cancelled", None})
        case "Cancelled" if claim.on_purpose or claim.reason in ON_PURPOSE:
            return frozenset({"Cancelled", None})
        case _:
            return frozenset({"Paid", "Cancelled", None})
