"""What a buyer is told, and how often: each message once, and none about what did not happen."""

from collections.abc import Iterator, Mapping, Sequence

from cludale_proof.checker.cart_lines import is_first_line
from cludale_proof.checker.cases import (
    CaseCheck,
    names,
    present,
)
from cludale_proof.checker.events import Fact
from cludale_proof.checker.findings import Invariant, Violation


class Messages(CaseCheck):
    """The messages about an order."""

    def always(self) -> Iterator[Violation]:
        """What was told twice, or of nothing."""
        sent = self.told.notifications
        for kind, facts in sent.items():
            # An order that failed, was paid after all and then cancelled is cancelled twice.
            most = (
                2 if kind == "cancellation" and (not self.terms.whole or len(self.told.order.cancellations) > 1) else 1
            )
            if kind == "refund":
                most = max(most, sum(len(payment.parts) for payment in self.told.payments.values()))
            elif kind == "confirmation-copy":
                most = max(most, len(self.told.resends))
            elif kind in ("moved", "reseated"):
                most = max(1, len(self.told.moves if kind == "moved" else self.told.reseats))
            if len({fact.event.id for fact in facts}) - self._sent_again(facts) > most and (
                self.terms.whole or kind in _TOLD_ONCE
            ):
                yield self.broken(
                    Invariant.ONE_CONFIRMATION, f"{kind}-twice", f"its buyer was sent {len(facts)} of {kind}", *facts
                )
        if not self.terms.whole:
            return
        yield from self._told_of_nothing(sent)

    def _sent_again(self, facts: Sequence[Fact]) -> int:
        """How many of these were sent because one before had come back."""
        again = 0
        for id, came_back in self.told.bounces.items():
            again += min(len(came_back), max(0, sum(names(fact, id) for fact in facts) - 1))
        return again

    def _told_of_nothing(self, sent: Mapping[str, Sequence[Fact]]) -> Iterator[Violation]:
        if sent.get("confirmation") and self.told.order.paid is None:
            yield self.broken(
                Invariant.ONE_CONFIRMATION,
                "confirmed-unpaid",
                "its buyer was sent a confirmation, and it was never Paid",
                *sent["confirmation"],
            )
        moved = sent.get("moved", ())
        if len(moved) - self._sent_again(moved) > len(self.told.moves):
            detail = f"its buyer was told {len(moved)} times that it is moved, and it was {len(self.told.moves)}"
            yield self.broken(Invariant.ONE_CONFIRMATION, "moved-untold", detail, *sent["moved"])
        reseated = sent.get("reseated", ())
        if len(reseated) - self._sent_again(reseated) > len(self.told.reseats):
            detail = (
                f"its buyer was told {len(reseated)} times of other seats, and got them {len(self.told.reseats)} times"
            )
            yield self.broken(Invariant.ONE_CONFIRMATION, "reseated-untold", detail, *reseated)
        if sent.get("cancellation") and not self._cancellations():
            yield self.broken(
                Invariant.ONE_CONFIRMATION,
                "cancelled-untold",
                "its buyer was told of a cancellation, and it was never cancelled",
                *sent["cancellation"],
            )

    def _cancellations(self) -> tuple[Fact, ...]:
        """Those that its buyer is told of: of a cart that comes to nothing, by its first line."""
        of_order = self.told.order.cancellations
        if not self.case.is_line or is_first_line(self.case.key):
            return of_order
        datas = [(fact, fact.event.data) for fact in of_order]
        return tuple(fact for fact, data in datas if data.was_paid and data.reason != "cart-incomplete")

    def once_quiet(self, excuse: str) -> Iterator[Violation]:
        """What was never told. `excuse`: what may explain it."""
        order = self.told.order
        for message in self.case.notifications:
            if message.status == "Pending":
                yield self.broken(
                    Invariant.SETTLES, "message-stuck", f"the {message.kind} {message.id} is Pending still{excuse}"
                )
        given_up = [each.kind for each in self.case.notifications if each.status == "Failed" and each.detail]
        back = tuple(fact for payment in self.told.payments.values() for fact in payment.parts.values())
        for kind, due in (
            ("confirmation", () if self.case.is_line else present(order.paid)),
            ("cancellation", self._cancellations()),
            ("refund", back),
            ("confirmation-copy", tuple(self.told.resends.values())),
            ("moved", tuple(self.told.moves.values())),
            ("reseated", tuple(self.told.reseats.values())),
            ("offer", tuple(fact for fact in self.case.facts if fact.event.type == "SeatsOffered")),
        ):
            sent = {fact.event.data.notification_id for fact in self.told.notifications.get(kind, ())}
            if len(sent) + given_up.count(kind) >= len(due):
                continue
            invariant = Invariant.ONE_CONFIRMATION if kind == "confirmation" else Invariant.SETTLES
            missing = f"no {kind}" if len(due) == 1 else f"{len(sent)} of {len(due)} {kind}s"
            yield self.broken(invariant, "never-told", f"its buyer was sent {missing}{excuse}", *due)


_TOLD_ONCE = frozenset({"confirmation", "cancellation"})
"""What a buyer is told as often, however little of the log is known."""
