"""Reading: everything of a snapshot, once, in the order in which the rules need it, and what is to be known of it then.

What belongs to an order goes to `cases`, to be looked at order by order; the rest is kept here.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from cludale_proof.checker import documents, events
from cludale_proof.checker.buyer_rules import BuyerTally
from cludale_proof.checker.cart_lines import lines_of
from cludale_proof.checker.cases import Terms, key_of_event, key_of_reservation
from cludale_proof.checker.concert_rules import ConcertTold
from cludale_proof.checker.documents import (
    Concert,
    DeadLetter,
    Head,
    KeptAnswer,
    Kind,
    Money,
    Notification,
    PlannedSection,
    Section,
    Unreadable,
)
from cludale_proof.checker.events import Fact
from cludale_proof.checker.findings import Invariant
from cludale_proof.checker.gathering import Gathering
from cludale_proof.checker.invoice_rules import InvoiceBook
from cludale_proof.checker.lifecycle import (
    BOOK_EVENTS,
    CODE_EVENTS,
    INVOICE_EVENTS,
    INVOICING,
    KEY_EVENTS,
    KEY_MADE,
    LIST_EVENTS,
    WEBHOOK_EVENTS,
)
from cludale_proof.checker.log_rules import Chain
from cludale_proof.checker.observations import Desk, Observation, claims_of, concert_claimed, kept_claim
from cludale_proof.checker.price_rules import PriceBook
from cludale_proof.checker.seat_rules import SeatBook
from cludale_proof.checker.section_rules import (
    SectionKey,
    Tally,
    plans_of,
)
from cludale_proof.checker.segment_rules import one_after_another
from cludale_proof.checker.snapshot import Snapshot
from cludale_proof.checker.spill import Spill
from cludale_proof.checker.waiting_rules import LineTold

_NAMED = 10
"""How many messages that were given up are named one by one."""


class Payee(msgspec.Struct, frozen=True, tag_field="_", tag="payee", gc=False):
    """Whose payment it is."""

    order_id: str


class Reading:
    """What was read of one snapshot."""

    def __init__(self, snapshot: Snapshot, terms: Terms, gathered: Gathering) -> None:
        self.terms = terms
        """By what the rules go; reading adds to it."""
        self._snapshot = snapshot
        self._gathered = gathered
        self.plans: dict[SectionKey, PlannedSection] = {}
        self.prices: dict[SectionKey, Money] = {}
        self.concerts: dict[str, Concert] = {}
        self.buyers = BuyerTally()
        self.book = PriceBook()
        self.invoices = InvoiceBook(terms.skew)
        self._codes_told: set[str] = set()
        """Ids of the events about codes."""
        self.scheduled: dict[str, Fact] = {}
        self.told: dict[str, ConcertTold] = {}
        self._keys_made: dict[str, Fact] = {}
        self._about_keys: set[str] = set()
        """Ids of the events about keys."""
        self.sections: dict[SectionKey, Section] = {}
        self.tallies: dict[SectionKey, Tally] = {}
        self.lines: dict[SectionKey, LineTold] = {}
        """Waiting lists."""
        self.seats = SeatBook(terms.skew)
        self.letters: dict[str, DeadLetter] = {}
        self.on_the_way = 0
        """Committed events that the log does not have yet."""
        self.logged = 0
        self.marked = 0
        """Entries of the log that are marked: taken in without their cause."""
        self.kept = 0
        """Events that wait outside the log until their causes are in it."""

    def all(self, observations: Iterable[Observation], cases: Spill, money: Spill, seats: Spill) -> None:
        """Everything: what belongs to an order into `cases`, whose payment it is into `money`, and what was promised
        and given of seats into `seats`.
        """
        self._read_concerts()
        self._read_log(cases)
        self._read_deliveries(cases)
        self._read_stores(cases, money, seats)
        self._read_observations(observations, cases)

    def _documents(self, kind: Kind, stage: str) -> Iterator[Any]:
        """The readable documents of a kind; the others are violations."""
        for row in self._gathered.counted(stage, self._snapshot.rows(kind)):
            try:
                read = documents.document(kind, row.version, row.body)
            except Unreadable as error:
                detail = f"it can't be read: {error}"
                self._gathered.wrong(Invariant.LOG_GIVES_STORES, "unreadable", f"{kind} {row.id}", detail)
                continue
            identity = getattr(read, "id", row.id)
            if kind is not Kind.SECTION and identity != row.id:
                detail = f"it holds the document of {identity}"
                self._gathered.wrong(Invariant.LOG_GIVES_STORES, "another-document", f"{kind} {row.id}", detail)
            yield read

    def _read_concerts(self) -> None:
        for concert in self._documents(Kind.CONCERT, "concerts"):
            self.concerts[concert.id] = concert
            self.invoices.concert(concert)
            self.buyers.concert(concert.id, concert.max_per_buyer)
        if any(each.max_per_buyer is not None for each in self.concerts.values()):
            for allowance in self._documents(Kind.ALLOWANCE, "allowances of buyers"):
                self.buyers.allowance(allowance)
        self.plans = plans_of(self.concerts.values())
        self.prices = {key: plan.price for key, plan in self.plans.items()}
        for section in self._documents(Kind.SECTION, "sections"):
            self.sections[(section.concert_id, section.id)] = section
        if any(plan.plan is not None for plan in self.plans.values()):
            for kept in self._documents(Kind.SEAT_PLAN, "seating plans"):
                self._gathered.found(self.seats.plan(kept))

    def _read_log(self, cases: Spill) -> None:
        heads: list[Head] = list(self._documents(Kind.AUDIT_HEAD, "log heads"))
        chain = Chain(heads)
        for row in self._gathered.counted("log entries", self._snapshot.rows(Kind.AUDIT_ENTRY)):
            fact, _, wrong = chain.follow(row.id, row.body)
            self._gathered.found(wrong)
            self.logged += 1
            if fact is not None:
                self.marked += fact.cause_missing
                self._put_fact(fact, cases)
        self._gathered.found(one_after_another(heads))
        self._gathered.found(chain.ends_at(max(heads, key=lambda head: head.segment, default=None)))

    def _put_key_fact(self, fact: Fact) -> None:
        event = fact.event
        if event.id not in self._about_keys and not fact.sequence:
            self.on_the_way += 1
        self._about_keys.add(event.id)
        before = self._keys_made.setdefault(event.subject, fact) if event.type == KEY_MADE else fact
        if before.event.id != event.id:
            detail = f"made twice, by {before.event.id} and {event.id}"
            self._gathered.wrong(Invariant.LEGAL_STEPS, "key-made-twice", f"key {event.subject}", detail, before, fact)

    def _put_in_line(self, fact: Fact) -> None:
        if fact.event.type in LIST_EVENTS:
            section = (fact.event.data.concert_id or "", fact.event.data.section or "")
            self.lines.setdefault(section, LineTold(section)).add(fact)

    def _put_fact(self, fact: Fact, cases: Spill) -> None:
        key = key_of_event(fact)
        if key is not None:
            if fact.event.type == "TicketIssued":
                since = self.terms.tickets_since
                self.terms = self.terms._replace(
                    tickets_since=fact.event.time if since is None else min(since, fact.event.time)
                )
            cases.put(key, fact)
            self._put_in_line(fact)
            if fact.event.type in INVOICE_EVENTS:
                self._gathered.found(self.invoices.numbered(fact))
            return
        if fact.event.type in (*KEY_EVENTS, *BOOK_EVENTS):
            self._put_key_fact(fact)
            return
        if fact.event.type in CODE_EVENTS:
            if fact.event.id not in self._codes_told and not fact.sequence:
                self.on_the_way += 1
            self._codes_told.add(fact.event.id)
            self.book.code(fact)
            return
        if fact.event.type in (INVOICING, *WEBHOOK_EVENTS):
            self.invoices.settings(fact)
            if fact.event.id not in self._about_keys and not fact.sequence:
                self.on_the_way += 1
            self._about_keys.add(fact.event.id)
            return
        concert_id = fact.event.data.concert_id or ""
        told = self.told.setdefault(concert_id, ConcertTold())
        if fact.event.type != "ConcertScheduled":
            if told.add(fact) and not fact.sequence:
                self.on_the_way += 1
            return
        told.add(fact)
        before = self.scheduled.get(concert_id)
        if before is None or before.event.id == fact.event.id:
            if before is None and not fact.sequence:
                self.on_the_way += 1
            self.scheduled.setdefault(concert_id, fact)
            return
        detail = f"scheduled twice, by {before.event.id} and {fact.event.id}"
        self._gathered.wrong(Invariant.LEGAL_STEPS, "scheduled-twice", f"concert {concert_id}", detail, before, fact)

    def _read_deliveries(self, cases: Spill) -> None:
        """Events on their way: in the outbox, and those that the log was given and could not take."""
        for body in self._gathered.counted("undelivered events", self._snapshot.outbox()):
            self._put_undelivered(body, "in the outbox", cases)
        for waiting in self._documents(Kind.AUDIT_WAITING, "causes that are waited for"):
            for event in waiting.events:
                self.kept += 1
                self._put_undelivered(bytes(event), "that waits for its cause", cases)
        for letter in self._documents(Kind.DEAD_LETTER, "dead letters"):
            self.letters[letter.id] = letter
            case = self._put_letter(letter, cases)
            if letter.state != "Delivered":
                about = f" of {case}" if case is not None else ""
                self._gathered.notes.append(
                    f"dead letter: {letter.consumer} gave up {letter.event_type} {letter.event_id}{about} "
                    f"after {letter.attempts}: {letter.reason}"
                )

    def _put_undelivered(self, body: documents.Body, where: str, cases: Spill) -> None:
        try:
            fact = Fact(event=events.event(body))
        except Unreadable as error:
            self._gathered.wrong(Invariant.WHOLE_LOG, "unreadable", f"an event {where}", str(error))
        else:
            self._put_fact(fact, cases)

    def _put_letter(self, letter: DeadLetter, cases: Spill) -> str | None:
        try:
            fact = Fact(event=events.event(letter.body.encode()))
        except Unreadable:
            return None  # poison is what dead letters are for
        key = key_of_event(fact)
        if key is not None:
            cases.put(key, letter)
        if letter.consumer == "audit" and letter.state != "Delivered":
            self._put_fact(fact, cases)
        return key

    def _read_stores(self, cases: Spill, money: Spill, seats: Spill) -> None:
        for order in self._documents(Kind.ORDER, "orders"):
            cases.put(order.id, order)
        kept = list(self._snapshot.rows(Kind.CONCERTS_ANSWER))[:1]
        for reservation in self._documents(Kind.RESERVATION, "reservations"):
            self.tallies.setdefault((reservation.concert_id, reservation.section), Tally()).add(reservation)
            cases.put(key_of_reservation(reservation), reservation)
            self.seats.reservation(reservation)
            if kept:
                seats.put(reservation.id, reservation)
        for payment in self._documents(Kind.PAYMENT, "payments"):
            cases.put(payment.order_id, payment)
            for line in lines_of(payment):
                cases.put(line.order_id, line)
            money.put(payment.id, Payee(payment.order_id))
        given_up: list[Notification] = []
        failed = 0
        for notification in self._documents(Kind.NOTIFICATION, "notifications"):
            cases.put(notification.order_id, notification)
            if notification.status == "Failed" or notification.bounced_at is not None:
                failed += 1
                given_up = [*given_up, notification][:_NAMED]
        self._note_given_up(given_up, failed)
        for tickets in self._documents(Kind.TICKETS, "orders with tickets"):
            cases.put(tickets.order_id, tickets)
        for kind in documents.ANSWERS:
            for answer in self._documents(kind, "kept answers"):
                self._put_kept(kind, answer, cases, seats)
        lines = self._snapshot.ledger()
        if lines is None:
            self.terms = self.terms._replace(ledger_known=False)
            self._gathered.unchecked.append(
                "the provider's ledger can't be read: money is checked by the payments alone"
            )
            return
        for line in self._gathered.counted("ledger lines", lines, tells=False):
            money.put(line.payment_id, line)

    def _note_given_up(self, some: Sequence[Notification], number: int) -> None:
        for notification in some:
            what = "was sent" if notification.status == "Sent" else "was not sent, and was given up"
            self._gathered.notes.append(f"{notification.id} {what}: {notification.detail}")
        if number:
            named = f", of which {len(some)} are named" if number > len(some) else ""
            self._gathered.notes.append(
                f"{number} message{'' if number == 1 else 's'} given up, or came back{named}; "
                "to send again: cludale notifications retry --all"
            )

    def _put_kept(self, kind: Kind, kept: KeptAnswer, cases: Spill, seats: Spill) -> None:
        claimed = kept_claim(kind, kept)
        if claimed is None:
            return
        if claimed.claim.thing == "reservation":
            seats.put(claimed.claim.id, claimed.claim)
        else:
            cases.put(claimed.case, claimed.claim)

    def _read_observations(self, observations: Iterable[Observation], cases: Spill) -> None:
        desk = Desk()
        for seen in self._gathered.counted("observations", observations, tells=False):
            self._gathered.found(desk.look(seen))
            concert = concert_claimed(seen)
            if concert is not None and concert not in self.concerts:
                detail = f"{seen.method} {seen.path} was answered 201, and there is no such concert"
                self._gathered.wrong(Invariant.ACKNOWLEDGED_STAYS, "concert-gone", f"concert {concert}", detail)
            for claimed in claims_of(seen):
                cases.put(claimed.case, claimed.claim)
