"""`check`: a whole world at one instant, whatever its size. Reads everything once, grouped by order.

The rules are those of `SafetyChecker` (`stepwise.py`), which sees a world grow; here it is as it stands.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from cludale_proof.checker import block_rules, documents, events, order_rules
from cludale_proof.checker.buyer_rules import BuyerTally
from cludale_proof.checker.cart_lines import lines_of
from cludale_proof.checker.cart_rules import CartBook
from cludale_proof.checker.cases import Case, Terms, key_of_event, key_of_reservation, missing_causes
from cludale_proof.checker.concert_rules import ConcertTold, closed
from cludale_proof.checker.concert_rules import one_after_another as one_concert_after_another
from cludale_proof.checker.documents import (
    Concert,
    DeadLetter,
    Head,
    KeptAnswer,
    Kind,
    LedgerLine,
    Money,
    Notification,
    Order,
    OrderTickets,
    Payment,
    PlannedSection,
    Reservation,
    Section,
    Unreadable,
)
from cludale_proof.checker.events import Fact
from cludale_proof.checker.findings import Invariant, Report, Violation
from cludale_proof.checker.history import OrderHistory
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
    fold,
)
from cludale_proof.checker.log_rules import Chain
from cludale_proof.checker.observations import Claim, Desk, Observation, claims_of, concert_claimed, kept_claim
from cludale_proof.checker.price_rules import PriceBook
from cludale_proof.checker.seat_rules import SeatBook
from cludale_proof.checker.section_rules import (
    Occupancy,
    SectionKey,
    Tally,
    broken,
    counts,
    never_oversold,
    plans_of,
)
from cludale_proof.checker.segment_rules import one_after_another
from cludale_proof.checker.snapshot import Snapshot
from cludale_proof.checker.spill import IN_MEMORY_LIMIT, Spill
from cludale_proof.checker.waiting_rules import LineTold, Walked

Progress = Callable[[str, int, int], None]
"""Is told what is being read, how many rows have been, and how many there are (about)."""

_PROGRESS_EVERY = 5_000
_NAMED = 10
"""How many messages that were given up are named one by one."""
_CASE_PARTS = Order | Reservation | Payment | Notification | OrderTickets | DeadLetter | LedgerLine | Fact | Claim


class _Payee(msgspec.Struct, frozen=True, tag_field="_", tag="payee", gc=False):
    """Whose payment it is."""

    order_id: str


def check(
    snapshot: Snapshot,
    *,
    now: datetime | None = None,
    quiet: bool = False,
    skew: timedelta = timedelta(),
    grace: timedelta = timedelta(),
    observations: Iterable[Observation] = (),
    progress: Progress | None = None,
    limit: int = 100,
    in_memory_limit: int = IN_MEMORY_LIMIT,
) -> Report:
    """Check every invariant, as far as the snapshot and the observations show it.

    `now`: the instant of the snapshot, by default this one. `quiet`: nothing is under way, so everything has to have
    come to its end. `skew`: by how much clocks may differ. `grace`: how long past its time a hold may stand when all
    is quiet. `observations`: what clients saw. At most `limit` violations are described, the others are counted.
    """
    began = time.monotonic()
    terms = Terms(now or datetime.now(UTC), skew=skew, grace=grace, ledger_exact=quiet)
    run = _Run(snapshot, terms, quiet=quiet, progress=progress, limit=limit, in_memory_limit=in_memory_limit)
    run.check(observations)
    return Report(
        violations=run.violations,
        counts=run.counts,
        notes=run.notes,
        omitted=run.omitted,
        unchecked=run.unchecked,
        quiet=quiet,
        seconds=time.monotonic() - began,
    )


class _Run:
    """One check of one snapshot."""

    def __init__(
        self,
        snapshot: Snapshot,
        terms: Terms,
        *,
        quiet: bool,
        progress: Progress | None,
        limit: int,
        in_memory_limit: int,
    ) -> None:
        self.violations: list[Violation] = []
        self.omitted = 0
        self.notes: list[str] = []
        self.unchecked: list[str] = []
        self.counts: dict[str, int] = {}
        self._snapshot = snapshot
        self._terms = terms
        self._quiet = quiet
        self._progress = progress
        self._limit = limit
        self._in_memory_limit = in_memory_limit
        self._size = max(1, snapshot.size())
        self._done = 0
        self._plans: dict[SectionKey, PlannedSection] = {}
        self._prices: dict[SectionKey, Money] = {}
        self._concerts: dict[str, Concert] = {}
        self._buyers = BuyerTally()
        self._book = PriceBook()
        self._invoices = InvoiceBook(terms.skew)
        self._codes_told: set[str] = set()
        """Ids of the events about codes."""
        self._scheduled: dict[str, Fact] = {}
        self._told: dict[str, ConcertTold] = {}
        self._keys_made: dict[str, Fact] = {}
        self._about_keys: set[str] = set()
        """Ids of the events about keys."""
        self._sections: dict[SectionKey, Section] = {}
        self._tallies: dict[SectionKey, Tally] = {}
        self._occupancies: dict[SectionKey, Occupancy] = {}
        self._lines: dict[SectionKey, LineTold] = {}
        """Waiting lists."""
        self._draws: dict[SectionKey, list[tuple[str, datetime, int]]] = {}
        """Seats that were held out of blocks: of which, when, how many."""
        self._seats = SeatBook(terms.skew)
        self._letters: dict[str, DeadLetter] = {}
        self._on_the_way = 0
        """Committed events that the log does not have yet."""
        self._logged = 0
        self._unresolved: dict[str, tuple[str, Fact]] = {}
        self._marked = 0
        self._kept = 0

    def check(self, observations: Iterable[Observation]) -> None:
        self._read_concerts()
        with (
            Spill(_CASE_PARTS, expected=self._size, in_memory_limit=self._in_memory_limit) as cases,
            Spill(LedgerLine | _Payee, expected=self._size // 8, in_memory_limit=self._in_memory_limit) as money,
            Spill(Reservation | Claim, expected=self._size // 8, in_memory_limit=self._in_memory_limit) as seats,
        ):
            self._read_log(cases)
            self._read_deliveries(cases)
            self._read_stores(cases, money, seats)
            self._read_observations(observations, cases)
            self._join_money(money, cases)
            self._check_promised_seats(seats)
            off = frozenset(id for id, told in self._told.items() if told.cancelled is not None)
            self._terms = self._terms._replace(called_off=off)
            self._check_cases(cases)
        self._found(self._invoices.without_holes())
        self._check_concerts()
        self._check_sections()
        self._check_causes()
        self._check_delivery()
        if self._marked:
            self.notes.append(f"{self._marked} entries of the log are marked late: taken in without their cause")
        if self._kept:
            self.notes.append(f"{self._kept} events wait outside the log until their causes are in it")

    def _found(self, violations: Iterable[Violation]) -> None:
        for violation in violations:
            if len(self.violations) < self._limit:
                self.violations.append(violation)
            else:
                self.omitted += 1

    def _wrong(self, invariant: Invariant, rule: str, subject: str, detail: str, *evidence: Fact) -> None:
        order_id = subject.removeprefix("order ") if subject.startswith("order ") else None
        self._found(
            [
                Violation(
                    invariant=invariant,
                    rule=rule,
                    subject=subject,
                    detail=detail,
                    order_id=order_id,
                    evidence=evidence,
                )
            ]
        )

    def _tell(self, stage: str, rows: int) -> None:
        self._done += rows
        if self._progress is not None:
            self._progress(stage, min(self._done, self._size), self._size)

    def _counted(self, stage: str, things: Iterable[Any], *, tells: bool = True) -> Iterator[Any]:
        number = 0
        for number, thing in enumerate(things, 1):
            yield thing
            if tells and not number % _PROGRESS_EVERY:
                self._tell(stage, _PROGRESS_EVERY)
        if tells:
            self._tell(stage, number % _PROGRESS_EVERY)
        self.counts[stage] = self.counts.get(stage, 0) + number

    def _documents(self, kind: Kind, stage: str) -> Iterator[Any]:
        """The readable documents of a kind; the others are violations."""
        for row in self._counted(stage, self._snapshot.rows(kind)):
            try:
                read = documents.document(kind, row.version, row.body)
            except Unreadable as error:
                detail = f"it can't be read: {error}"
                self._wrong(Invariant.LOG_GIVES_STORES, "unreadable", f"{kind} {row.id}", detail)
                continue
            identity = getattr(read, "id", row.id)
            if kind is not Kind.SECTION and identity != row.id:
                detail = f"it holds the document of {identity}"
                self._wrong(Invariant.LOG_GIVES_STORES, "another-document", f"{kind} {row.id}", detail)
            yield read

    # reading

    def _read_concerts(self) -> None:
        for concert in self._documents(Kind.CONCERT, "concerts"):
            self._concerts[concert.id] = concert
            self._invoices.concert(concert)
            self._buyers.concert(concert.id, concert.max_per_buyer)
        if any(each.max_per_buyer is not None for each in self._concerts.values()):
            for allowance in self._documents(Kind.ALLOWANCE, "allowances of buyers"):
                self._buyers.allowance(allowance)
        self._plans = plans_of(self._concerts.values())
        self._prices = {key: plan.price for key, plan in self._plans.items()}
        for section in self._documents(Kind.SECTION, "sections"):
            self._sections[(section.concert_id, section.id)] = section
        if any(plan.plan is not None for plan in self._plans.values()):
            for kept in self._documents(Kind.SEAT_PLAN, "seating plans"):
                self._found(self._seats.plan(kept))

    def _read_log(self, cases: Spill) -> None:
        heads: list[Head] = list(self._documents(Kind.AUDIT_HEAD, "log heads"))
        chain = Chain(heads)
        for row in self._counted("log entries", self._snapshot.rows(Kind.AUDIT_ENTRY)):
            fact, _, wrong = chain.follow(row.id, row.body)
            self._found(wrong)
            self._logged += 1
            if fact is not None:
                self._marked += fact.cause_missing
                self._put_fact(fact, cases)
        self._found(one_after_another(heads))
        self._found(chain.ends_at(max(heads, key=lambda head: head.segment, default=None)))

    def _put_key_fact(self, fact: Fact) -> None:
        event = fact.event
        if event.id not in self._about_keys and not fact.sequence:
            self._on_the_way += 1
        self._about_keys.add(event.id)
        before = self._keys_made.setdefault(event.subject, fact) if event.type == KEY_MADE else fact
        if before.event.id != event.id:
            detail = f"made twice, by {before.event.id} and {event.id}"
            self._wrong(Invariant.LEGAL_STEPS, "key-made-twice", f"key {event.subject}", detail, before, fact)

    def _put_in_line(self, fact: Fact) -> None:
        if fact.event.type in LIST_EVENTS:
            section = (fact.event.data.concert_id or "", fact.event.data.section or "")
            self._lines.setdefault(section, LineTold(section)).add(fact)

    def _put_fact(self, fact: Fact, cases: Spill) -> None:
        key = key_of_event(fact)
        if key is not None:
            if fact.event.type == "TicketIssued":
                since = self._terms.tickets_since
                self._terms = self._terms._replace(
                    tickets_since=fact.event.time if since is None else min(since, fact.event.time)
                )
            cases.put(key, fact)
            self._put_in_line(fact)
            if fact.event.type in INVOICE_EVENTS:
                self._found(self._invoices.numbered(fact))
            return
        if fact.event.type in (*KEY_EVENTS, *BOOK_EVENTS):
            self._put_key_fact(fact)
            return
        if fact.event.type in CODE_EVENTS:
            if fact.event.id not in self._codes_told and not fact.sequence:
                self._on_the_way += 1
            self._codes_told.add(fact.event.id)
            self._book.code(fact)
            return
        if fact.event.type in (INVOICING, *WEBHOOK_EVENTS):
            self._invoices.settings(fact)
            if fact.event.id not in self._about_keys and not fact.sequence:
                self._on_the_way += 1
            self._about_keys.add(fact.event.id)
            return
        concert_id = fact.event.data.concert_id or ""
        told = self._told.setdefault(concert_id, ConcertTold())
        if fact.event.type != "ConcertScheduled":
            if told.add(fact) and not fact.sequence:
                self._on_the_way += 1
            return
        told.add(fact)
        before = self._scheduled.get(concert_id)
        if before is None or before.event.id == fact.event.id:
            if before is None and not fact.sequence:
                self._on_the_way += 1
            self._scheduled.setdefault(concert_id, fact)
            return
        detail = f"scheduled twice, by {before.event.id} and {fact.event.id}"
        self._wrong(Invariant.LEGAL_STEPS, "scheduled-twice", f"concert {concert_id}", detail, before, fact)

    def _read_deliveries(self, cases: Spill) -> None:
        """Events on their way: in the outbox, and those that the log was given and could not take."""
        for body in self._counted("undelivered events", self._snapshot.outbox()):
            self._put_undelivered(body, "in the outbox", cases)
        for waiting in self._documents(Kind.AUDIT_WAITING, "causes that are waited for"):
            for event in waiting.events:
                self._kept += 1
                self._put_undelivered(bytes(event), "that waits for its cause", cases)
        for letter in self._documents(Kind.DEAD_LETTER, "dead letters"):
            self._letters[letter.id] = letter
            case = self._put_letter(letter, cases)
            if letter.state != "Delivered":
                about = f" of {case}" if case is not None else ""
                self.notes.append(
                    f"dead letter: {letter.consumer} gave up {letter.event_type} {letter.event_id}{about} "
                    f"after {letter.attempts}: {letter.reason}"
                )

    def _put_undelivered(self, body: documents.Body, where: str, cases: Spill) -> None:
        try:
            fact = Fact(event=events.event(body))
        except Unreadable as error:
            self._wrong(Invariant.WHOLE_LOG, "unreadable", f"an event {where}", str(error))
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
            self._tallies.setdefault((reservation.concert_id, reservation.section), Tally()).add(reservation)
            cases.put(key_of_reservation(reservation), reservation)
            self._seats.reservation(reservation)
            if kept:
                seats.put(reservation.id, reservation)
        for payment in self._documents(Kind.PAYMENT, "payments"):
            cases.put(payment.order_id, payment)
            for line in lines_of(payment):
                cases.put(line.order_id, line)
            money.put(payment.id, _Payee(payment.order_id))
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
            self._terms = self._terms._replace(ledger_known=False)
            self.unchecked.append("the provider's ledger can't be read: money is checked by the payments alone")
            return
        for line in self._counted("ledger lines", lines, tells=False):
            money.put(line.payment_id, line)

    def _note_given_up(self, some: Sequence[Notification], number: int) -> None:
        for notification in some:
            what = "was sent" if notification.status == "Sent" else "was not sent, and was given up"
            self.notes.append(f"{notification.id} {what}: {notification.detail}")
        if number:
            named = f", of which {len(some)} are named" if number > len(some) else ""
            self.notes.append(
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
        for seen in self._counted("observations", observations, tells=False):
            self._found(desk.look(seen))
            concert = concert_claimed(seen)
            if concert is not None and concert not in self._concerts:
                detail = f"{seen.method} {seen.path} was answered 201, and there is no such concert"
                self._wrong(Invariant.ACKNOWLEDGED_STAYS, "concert-gone", f"concert {concert}", detail)
            for claimed in claims_of(seen):
                cases.put(claimed.case, claimed.claim)

    # checking

    def _join_money(self, money: Spill, cases: Spill) -> None:
        for payment_id, parts in money.groups():
            owner = next((part.order_id for part in parts if isinstance(part, _Payee)), None)
            for part in parts:
                if not isinstance(part, LedgerLine):
                    continue
                if owner is not None:
                    cases.put(owner, part)
                elif part.net and self._terms.ledger_exact:  # else the payment may be newer than what was read of it
                    detail = f"{part.net} are kept by the provider, and there is no payment {payment_id}"
                    self._wrong(Invariant.ONE_CAPTURE, "money-without-payment", f"key {part.key}", detail)

    def _check_promised_seats(self, seats: Spill) -> None:
        for id, parts in seats.groups():
            quantities = [part.quantity for part in parts if isinstance(part, Reservation)]
            for part in parts:
                if isinstance(part, Claim) and part.quantity not in quantities:
                    detail = f"{part.by}: {part.quantity} seats were promised, and there are {quantities}"
                    self._wrong(Invariant.ACKNOWLEDGED_STAYS, "reservation-gone", f"reservation {id}", detail)

    def _check_cases(self, cases: Spill) -> None:
        carts = CartBook(ledger_known=self._terms.ledger_known, ledger_exact=self._terms.ledger_exact)
        for key, parts in self._counted("cases", cases.groups(), tells=False):
            case = Case(key)
            self._fill(case, parts)
            told = fold(case.facts)
            carts.case(case, told)
            self._found(order_rules.always(case, told, self._terms, self._prices))
            if self._quiet:
                self._found(order_rules.once_quiet(case, told, self._terms))
            self._check_ends(told)
            self._occupy(told)
            self._seats.told(told)
            if case.order is not None:
                self._found(self._buyers.count(case.order, case.reservations))
            self._check_bills(case, told)
            self._found(self._invoices.always(case, told))
            if self._quiet:
                self._found(self._invoices.once_quiet(case, told))
            for fact, cause in missing_causes(case):
                if not fact.cause_missing:
                    self._unresolved.setdefault(cause, (case.subject, fact))

        self._found(carts.found(quiet=self._quiet))

    def _check_bills(self, case: Case, told: OrderHistory) -> None:
        for (concert, section, _), reservation in told.reservations.items():
            if reservation.reserved is not None:
                plan = self._prices.get((concert, section))
                told_of = self._told.get(concert)
                self._found(self._book.held(reservation.reserved, told_of, plan, skew=self._terms.skew, tiers=False))
        for each in case.reservations:
            self._found(self._book.reservation(each))

    def _fill(self, case: Case, parts: Iterable[Any]) -> None:
        facts: dict[str, Fact] = {}
        for part in parts:
            match part:
                case Fact():
                    self._add_fact(case, facts, part)
                case Order():
                    case.order = part
                case Reservation():
                    case.reservations.append(part)
                case Payment():
                    case.payments.append(part)
                case LedgerLine():
                    case.ledger[part.key] = part
                case Notification():
                    case.notifications.append(part)
                case OrderTickets():
                    case.tickets = part
                case DeadLetter():
                    case.letters.append(part)
                case Claim():
                    case.claims.append(part)
        case.facts = list(facts.values())
        self._on_the_way += sum(not fact.sequence for fact in case.facts)

    def _add_fact(self, case: Case, facts: dict[str, Fact], fact: Fact) -> None:
        """Take an event in once, as the log has it if it does: what is on its way is often there already."""
        before = facts.setdefault(fact.event.id, fact)
        if before is fact:
            return
        if before.event != fact.event:
            detail = f"two different events have the id {fact.event.id}"
            self._wrong(Invariant.WHOLE_LOG, "logged-changed", case.subject, detail, before, fact)
        elif before.sequence and fact.sequence:
            detail = f"{fact.event.id} is entry {before.sequence} and entry {fact.sequence}"
            self._wrong(Invariant.WHOLE_LOG, "logged-twice", case.subject, detail, before, fact)

    def _check_ends(self, told: OrderHistory) -> None:
        """Were seats given out when the concert was over? Orders of older versions were, and know no `cancelUntil`."""
        if told.order.reserved is None or told.order.reserved.event.data.cancel_until is None:
            return
        for (concert, _, id), reservation in told.reservations.items():
            scheduled, reserved = self._scheduled.get(concert), reservation.reserved
            if scheduled is None or reserved is None:
                continue
            end = self._told[concert].over_at()
            plan = self._plans.get((concert, reserved.event.data.section or ""))
            price = reserved.event.data.price
            if price is not None and plan is not None and price not in self._told[concert].prices(plan):
                detail = f"a seat of it is {price}, which it never was in its section"
                self._wrong(Invariant.ONE_LIVE_RESERVATION, "price-of-nowhere", f"reservation {id}", detail, reserved)
            if end is not None and reserved.event.time >= end:
                detail = f"its seats were given out at {reserved.event.time}, and the concert is over since {end}"
                self._wrong(Invariant.LEGAL_STEPS, "sold-when-over", f"reservation {id}", detail, scheduled, reserved)

    def _occupy(self, told: OrderHistory) -> None:
        for (concert, section, _), reservation in told.reservations.items():
            times = reservation.occupied()
            if times is not None:
                key = (concert, section)
                occupancy = self._occupancies.get(key)
                if occupancy is None:
                    occupancy = self._occupancies[key] = Occupancy(self._terms.skew)
                occupancy.add(*times, reservation.first.data.quantity or 0)
                reserved = reservation.reserved
                if reserved is not None and key in self._lines and reserved.event.data.block is None:
                    walked = Walked(reserved.event.data.order_id, reserved.event.time, reserved.event.id)
                    self._lines[key].held.append(walked)
                if reserved is not None and (block := reserved.event.data.block) is not None:
                    drawn = (block, reserved.event.time, reserved.event.data.quantity or 0)
                    self._draws.setdefault(key, []).append(drawn)
                for fact in reservation.returned.values():
                    occupancy.give_back(fact.event.time, times[1], fact.event.data.tickets or 0)

    def _check_concerts(self) -> None:
        for id in self._concerts.keys() - self._scheduled.keys():
            detail = "the concert is there, and no event tells of it"
            self._wrong(Invariant.LOG_GIVES_STORES, "concert-untold", f"concert {id}", detail)
        for id, fact in self._scheduled.items():
            concert = self._concerts.get(id)
            if concert is None:
                detail = "its event is there, the concert is not"
                self._wrong(Invariant.LOG_GIVES_STORES, "concert-lost", f"concert {id}", detail, fact)
            else:
                told = self._told[id]
                differing = list(told.differing(concert))
                if concert.sections != fact.event.data.sections:
                    differing.append("sections")
                for name in differing:
                    detail = f"its {name} is not what its event tells"
                    self._wrong(Invariant.LOG_GIVES_STORES, "concert-differs", f"concert {id}", detail, fact)
                self._found(one_concert_after_another(id, told))
                if self._quiet and (late := [each for each in told.facts if not each.sequence]):
                    detail = f"{late[0].event.type} {late[0].event.id} was committed and did not reach the log"
                    self._wrong(Invariant.WHOLE_LOG, "not-in-the-log", f"concert {id}", detail, *late)
            if self._quiet and not fact.sequence:
                detail = f"{fact.event.type} {fact.event.id} was committed and did not reach the log"
                self._wrong(Invariant.WHOLE_LOG, "not-in-the-log", f"concert {id}", detail, fact)

    def _check_sections(self) -> None:
        for key in {*self._sections, *self._tallies}:
            tally = self._tallies.get(key) or Tally()
            plan, told = self._plans.get(key), self._told.get(key[0])
            section = self._sections.get(key)
            now = plan if plan is None or told is None else told.plan(plan)
            self._found(counts(key, section, tally, now, self._terms.now))
            if self._quiet and section is not None:
                self._found(closed(key, section, told))
            self._check_blocks(key, section, told)
        for key, line in self._lines.items():
            self._found(line.judged(self._sections.get(key), self._terms.skew))
        for key in {*self._seats.sections, *(key for key, plan in self._plans.items() if plan.plan is not None)}:
            plan, told = self._plans.get(key), self._told.get(key[0])
            now = plan if plan is None or told is None else told.plan(plan)
            self._found(self._seats.check(key, self._sections.get(key), now, self._terms.now))
        for key, occupancy in self._occupancies.items():
            plan = self._plans.get(key)
            if plan is not None:
                for at, seats in self._told[key[0]].resizes(key[1]) if key[0] in self._told else ():
                    occupancy.resize(at, seats)
                self._found(never_oversold(key, occupancy, plan.total_seats))
            elif key not in self._sections:
                self._found([broken(key, "unplanned", "seats of it were held, and no concert has it")])

    def _check_blocks(self, key: SectionKey, section: Section | None, told: ConcertTold | None) -> None:
        draws = self._draws.get(key, [])
        drawn: dict[str, int] = {}
        for block, _, quantity in draws:
            drawn[block] = drawn.get(block, 0) + quantity
        if not drawn and not block_rules.blocks_of(told, key[1]) and not (section and section.blocks):
            return
        terms = self._terms
        self._found(block_rules.as_told(key, section, told, drawn, now=terms.now, skew=terms.skew))
        occupancy = self._occupancies.setdefault(key, Occupancy(terms.skew))
        block_rules.occupy(key, occupancy, told, draws)

    def _check_causes(self) -> None:
        """Causes outside the order's own story: somewhere in the log, or on the way, or nowhere."""
        if not self._unresolved:
            return
        missing = dict(self._unresolved)
        for row in self._snapshot.rows(Kind.AUDIT_ENTRY):
            missing.pop(row.id, None)
        for cause, (subject, fact) in missing.items():
            detail = f"{fact.event.type} {fact.event.id} was caused by {cause}, which is nowhere"
            self._wrong(Invariant.WHOLE_LOG, "unknown-cause", subject, detail, fact)

    def _check_delivery(self) -> None:
        committed = self._snapshot.committed_events()
        known = self._logged + self._on_the_way
        self.counts["events"] = known
        if committed is not None and committed != known:
            detail = (
                f"{committed} events were committed, {self._logged} are in the log and {self._on_the_way} under way"
            )
            self._wrong(Invariant.WHOLE_LOG, "events-lost", "the log", detail)
        if not self._quiet:
            return
        waiting = self.counts.get("undelivered events", 0)
        if waiting:
            self._wrong(Invariant.SETTLES, "outbox", "the outbox", f"{waiting} events were not delivered to everyone")
        for letter in self._letters.values():
            self._found(order_rules.explained(letter))
