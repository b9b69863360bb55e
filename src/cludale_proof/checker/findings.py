"""What a check finds: the invariants by number and name, and where one of them is broken. No rules here."""

from collections.abc import Iterable, Sequence
from enum import Enum

import msgspec

from cludale_proof.checker.events import Fact


class Invariant(Enum):
    """What must always hold; `SETTLES` once faults have stopped and all is quiet."""

    SEATS_ADD_UP = (1, "In every section, total = available + held + sold, and no seat is had twice.")
    ONE_END = (2, "A reservation goes from held to exactly one of sold and released.")
    ONE_LIVE_RESERVATION = (3, "An order has at most one live reservation, for its own quantity and price.")
    ONE_CAPTURE = (4, "An order is charged at most once, and keeps its charge if and only if it is Paid.")
    PAID_MEANS_SOLD = (5, "No order is Paid without seats sold to it; late money gets seats again or goes back.")
    ONE_WINNER = (6, "Cancel against pay, expiry against pay: one of them wins.")
    LEGAL_STEPS = (7, "Every change of state is in the transition table, and versions have no gaps.")
    ONE_CONFIRMATION = (8, "A Paid order is confirmed once, and no other is.")
    WHOLE_LOG = (9, "What was committed is what was published is what the log has, causes first, chain intact.")
    SAME_ANSWER = (10, "The same idempotency key and body get the same bytes back, and have one effect.")
    ACKNOWLEDGED_STAYS = (11, "What was answered 2xx is there, and stays.")
    LOG_GIVES_STORES = (12, "Folding the event log gives what the stores hold.")
    CREDENTIALS = (13, "No order is readable without its credential.")
    SETTLES = (14, "Once all is quiet: orders at an end, outbox empty, no hold past its time, dead letters explained.")
    ONE_TICKET = (
        15,
        "A Paid order has as many valid tickets as it has seats left, no other has any, and each lets in once.",
    )
    WITHIN_LIMITS = (16, "No buyer has more tickets of a concert than it allows to one.")
    INVOICES = (17, "Invoices and credit notes are numbered without holes or twins, and come to the money.")

    def __init__(self, number: int, sentence: str) -> None:
        self.number = number
        self.sentence = sentence


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One invariant is broken, here."""

    invariant: Invariant
    rule: str
    """A stable name for what is wrong, such as `paid-without-sold-seats`."""
    subject: str
    """What it is about: `order order-0199…`, `section c1/main`, `audit entry 17`."""
    detail: str
    order_id: str | None = None
    evidence: tuple[Fact, ...] = ()
    """The events that show it."""
    story: tuple[Fact, ...] = ()
    """All that happened to the order, causes first."""

    def __str__(self) -> str:
        return f"invariant {self.invariant.number} ({self.rule}), {self.subject}: {self.detail}"


def violated(invariant: Invariant, rule: str, subject: str, detail: str, *evidence: Fact) -> Violation:
    """A rule that is broken by `subject`, which names what it is about: `order order-0199…`."""
    order_id = subject.removeprefix("order ") if subject.startswith("order ") else None
    return Violation(
        invariant=invariant, rule=rule, subject=subject, detail=detail, order_id=order_id, evidence=evidence
    )


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a check."""

    violations: Sequence[Violation]
    counts: dict[str, int]
    """How much was looked at: `orders`, `events`, …"""
    notes: Sequence[str] = ()
    """Worth knowing, and no breakage: dead letters that wait, entries taken in without their cause."""
    omitted: int = 0
    """Violations past the limit: counted, not described."""
    unchecked: Sequence[str] = ()
    """What could not be looked at, and why; what there was held."""
    quiet: bool = False
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Nothing is broken."""
        return not self.violations and not self.omitted


class Broken(AssertionError):
    """Raised by whoever wants a broken invariant to stop them. Carries the violations."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("\n".join(map(str, violations)))
        self.violations = violations


def in_story_order(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Causes before effects, then by time, then as the log has them."""
    ordered = sorted(facts, key=lambda fact: (fact.event.time, fact.sequence or 1 << 62, fact.event.id))
    by_id = {fact.event.id: fact for fact in ordered}
    told: dict[str, Fact] = {}
    for fact in ordered:
        chain = [fact]
        seen = {fact.event.id}
        while (cause := by_id.get(chain[-1].event.causationid or "")) and cause.event.id not in told:
            if cause.event.id in seen:
                break  # causes that go in a circle are forged; they are told all the same
            seen.add(cause.event.id)
            chain.append(cause)
        for each in reversed(chain):
            told.setdefault(each.event.id, each)
    return tuple(told.values())
