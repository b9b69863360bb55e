"""All that is known of one order, the conditions under which it is looked at, and how a broken rule is told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from cludale_proof.checker.cart_lines import cart_of
from cludale_proof.checker.documents import (
    DeadLetter,
    Money,
    Notification,
    Order,
    OrderTickets,
    Payment,
    Reservation,
)
from cludale_proof.checker.events import Fact
from cludale_proof.checker.findings import Invariant, Violation, in_story_order
from cludale_proof.checker.history import OrderHistory
from cludale_proof.checker.ledger import LedgerLine
from cludale_proof.checker.observations import Claim

Prices = Mapping[tuple[str, str], Money]
"""The price of a seat by concert and section."""


class Terms(NamedTuple):
    """Under which conditions the rules are looked at."""

    now: datetime
    skew: timedelta = timedelta()
    """By how much the clocks of several machines may differ."""
    grace: timedelta = timedelta()
    """How long past its time a hold may still stand once all is quiet."""
    ledger_known: bool = True
    """The provider's ledger can be read."""
    ledger_exact: bool = True
    """The ledger shows the same instant as the stores; else it may be ahead of them."""
    tickets_since: datetime | None = None
    """When tickets were first issued: orders that were paid before may have none. None: that is not looked at."""
    called_off: frozenset[str] = frozenset()
    """Concerts that are called off."""
    whole: bool = True
    """All events up to this instant are known: the log and what is on its way to it."""


@dataclass(slots=True)
class Case:
    """All that is known of one order; or of one reservation that no order has."""

    key: str
    order: Order | None = None
    reservations: list[Reservation] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    tickets: OrderTickets | None = None
    letters: list[DeadLetter] = field(default_factory=list)
    ledger: dict[str, LedgerLine] = field(default_factory=dict)
    """By the provider's key."""
    erring: set[str] = field(default_factory=set)
    """Keys of which the provider is known to have done something wrong: its own fault, which reconciliation mends."""
    facts: list[Fact] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    """What clients were told about it."""

    @property
    def is_cart(self) -> bool:
        """Is it a cart, not an order?"""
        return self.key.startswith("cart-")

    @property
    def is_line(self) -> bool:
        """Is it a line of a cart, so that its money is in the cart's charge?"""
        return cart_of(self.key) is not None

    @property
    def subject(self) -> str:
        """How it is named in a finding."""
        if self.is_cart:
            return f"cart {self.key}"
        return self.key if self.key.startswith("reservation ") else f"order {self.key}"


def key_of_reservation(reservation: Reservation) -> str:
    """The case that a reservation belongs to."""
    return reservation.order_id or f"reservation {reservation.id}"


def key_of_event(fact: Fact) -> str | None:
    """The case that an event belongs to; None for one about a concert."""
    data = fact.event.data
    if data.order_id or data.cart_id:
        return data.order_id or data.cart_id
    return f"reservation {data.reservation_id}" if data.reservation_id else None


def missing_causes(case: Case) -> Iterator[tuple[Fact, str]]:
    """Logged events whose cause is not among the case's own events, and the cause's id."""
    own = {fact.event.id for fact in case.facts}
    for fact in case.facts:
        cause = fact.event.causationid
        if fact.sequence and cause is not None and cause not in own:
            yield fact, cause


class CaseCheck:
    """Rules about one case."""

    def __init__(self, case: Case, told: OrderHistory, terms: Terms, prices: Prices) -> None:
        self.case = case
        self.told = told
        self.terms = terms
        self.prices = prices

    def broken(self, invariant: Invariant, rule: str, detail: str, *evidence: Fact) -> Violation:
        """A rule that this case breaks."""
        return Violation(
            invariant=invariant,
            rule=rule,
            subject=self.case.subject,
            detail=detail,
            order_id=self.case.key if self.case.subject.startswith("order ") else None,
            evidence=evidence,
            story=in_story_order(self.case.facts),
        )

    def differing(
        self, what: str, fields: Mapping[str, tuple[object, object]], evidence: Sequence[Fact]
    ) -> Iterator[Violation]:
        """Where what is stored is not what its events give: `fields` have both by name, in this order."""
        for name, (stored, given) in fields.items():
            if stored != given:
                yield self.broken(
                    Invariant.LOG_GIVES_STORES,
                    f"{what.partition(' ')[0]}-differs",
                    f"{name} of the {what} is {shown_as(stored)}, its events give {shown_as(given)}",
                    *evidence,
                )


def names(fact: Fact, notification_id: str) -> bool:
    """Is the event about this message?"""
    return fact.event.data.notification_id == notification_id


def present(*facts: Fact | None) -> tuple[Fact, ...]:
    """Those that there are."""
    return tuple(fact for fact in facts if fact is not None)


def state_of(payment: Payment) -> str:
    """How a payment stands, in words."""
    closing = f" and closing ({payment.closing})" if payment.closing else ""
    return f"payment {payment.id} is {payment.status}{closing}{' and being refunded' if payment.refunding else ''}"


def shown_as(value: object) -> str:
    """A value, in words."""
    return value.isoformat() if isinstance(value, datetime) else "none" if value is None else str(value)
