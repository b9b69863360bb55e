"""The money that the provider has of an order is what its payment says: one capture, and back what is owed back."""

from collections.abc import Iterator

from cludale_proof.checker import books_rules
from cludale_proof.checker.cases import (
    CaseCheck,
    state_of,
)
from cludale_proof.checker.documents import (
    Payment,
)
from cludale_proof.checker.findings import Invariant, Violation
from cludale_proof.checker.history import PaymentTold
from cludale_proof.checker.ledger import LedgerLine


class Ledger(CaseCheck):
    """The provider's lines about an order."""

    def always(self) -> Iterator[Violation]:
        """Where the provider has another sum than the payments say."""
        payments = {payment.id: payment for payment in self.case.payments}
        wrong = books_rules.wrong_keys(self.case)
        sound = [line for line in self.case.ledger.values() if line.key not in wrong]
        kept = [line for line in sound if line.net > 0]
        if len(kept) > 1:
            keys = ", ".join(line.key for line in kept)
            yield self.broken(Invariant.ONE_CAPTURE, "charged-twice", f"the provider keeps money under {keys}")
        for line in sound:
            payment = payments.get(line.payment_id)
            if payment is None:
                yield self.broken(
                    Invariant.ONE_CAPTURE, "money-without-payment", f"the provider took money under {line.key}"
                )
            else:
                yield from self._line(line, payment)
        for payment in payments.values():
            is_taken = payment.status in {"Completed", "Refunded"} and payment.amount.amount  # nobody asks for 0
            if (
                is_taken
                and payment.till is None
                and not self.case.is_line
                and f"{payment.id}.{payment.round}" not in self.case.ledger
            ):
                yield self.broken(
                    Invariant.ONE_CAPTURE,
                    "completed-without-money",
                    f"{state_of(payment)}, and the provider took nothing under {payment.id}.{payment.round}",
                    *self.told.payments.get(payment.id, PaymentTold()).completed.values(),
                )

    def _line(self, line: LedgerLine, payment: Payment) -> Iterator[Violation]:
        facts = self.told.payments.get(payment.id, PaymentTold()).facts
        amount = payment.amount.amount
        if line.charges > 1 or (line.captured and not line.charges):
            yield self.broken(
                Invariant.ONE_CAPTURE,
                "charged-twice",
                f"under {line.key} the provider took the money {line.charges} times",
                *facts,
            )
        if line.captured not in {0, amount} or not 0 <= line.refunded <= line.captured:
            yield self.broken(
                Invariant.ONE_CAPTURE,
                "wrong-amount",
                f"under {line.key} the provider took {line.captured} and gave back {line.refunded}, of {amount} owed",
                *facts,
            )
            return
        wrong: str | None = None
        exact = self.terms.ledger_exact
        if line.round > payment.round or line.round < 1:
            wrong = "a round that was never begun" if exact and line.captured else None
        elif line.round < payment.round:
            wrong = "a round that failed" if line.net else None
        elif payment.status == "Completed":
            if not line.charges or line.captured != amount:  # of what is free, 0 is taken, once
                wrong = "a round that was completed"
            elif line.refunded > payment.all_parts and exact and not payment.refunding:
                wrong = "a round of which nobody wanted so much back"
            elif line.refunded < payment.all_parts - payment.open_parts:
                wrong = "a round of which more is said to be back"
        elif payment.status == "Failed" and line.net:
            wrong = "a round that is Failed"
        elif payment.status == "Refunded" and line.net > payment.open_parts:
            wrong = "a round that is Refunded"
        if wrong is not None:
            yield self.broken(
                Invariant.ONE_CAPTURE,
                "ledger-differs",
                f"under {line.key}, {wrong}, the provider took {line.captured} and gave back {line.refunded}",
                *facts,
            )
