"""SafetyChecker: looks on while things happen, and checks after each step just what that step changed.

For the simulator and for tests that see every commit. It is told of commits as they become durable, of events as
they are published, of money as it moves and of answers as clients get them; each call returns what it broke. A whole
store is checked by `whole.py`, with the same rules.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from cludale_proof.checker import block_rules, documents, events, order_rules
from cludale_proof.checker.buyer_rules import BuyerTally
from cludale_proof.checker.cart_lines import lines_of
from cludale_proof.checker.cart_rules import CartBook
from cludale_proof.checker.cases import Case, Terms, key_of_event, key_of_reservation, missing_causes
from cludale_proof.checker.concert_rules import ConcertTold, closed, one_after_another
from cludale_proof.checker.documents import (
    ANSWERS,
    Body,
    Concert,
    DeadLetter,
    Head,
    KeptAnswer,
    Kind,
    Money,
    Notification,
    Order,
    OrderTickets,
    Payment,
    PlannedSection,
    Reservation,
    SeatPlan,
    Section,
    Unreadable,
)
from cludale_proof.checker.events import Fact
from cludale_proof.checker.findings import Invariant, Violation, in_story_order, violated
from cludale_proof.checker.invoice_rules import InvoiceBook
from cludale_proof.checker.ledger import LedgerLine
from cludale_proof.checker.lifecycle import (
    CODE_EVENTS,
    CONCERT_EVENTS,
    DIFFERS,
    INVOICE_EVENTS,
    LIST_EVENTS,
    fold,
)
from cludale_proof.checker.log_rules import Chain
from cludale_proof.checker.observations import Desk, Observation, claims_of, concert_claimed, is_refused_for_now
from cludale_proof.checker.price_rules import PriceBook
from cludale_proof.checker.seat_rules import SeatBook
from cludale_proof.checker.section_rules import SectionKey, Tally, counts, plans_of
from cludale_proof.checker.segment_rules import Segments
from cludale_proof.checker.steps import illegal_return, illegal_step
from cludale_proof.checker.waiting_rules import Line

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Write(NamedTuple):
    """A record as a commit left it. `kind` is `service/name`, such as `orders/order`."""

    kind: str
    id: str
    version: int
    body: Body
    partition: str = ""


class SafetyChecker:
    """Follows a world from its beginning. Feed it everything, in the order in which it became true."""

    def __init__(
        self,
        *,
        skew: timedelta = timedelta(),
        segment_entries: int | None = None,
        apart: bool = False,
    ) -> None:
        """`skew`: by how much the world's clocks differ. `segment_entries`: with how many entries a segment of the
        audit log is to be sealed. `apart`: two partitions may have records of one id, which are two then; else the
        record is one, whichever partition it is written in.
        """
        self.violations: list[Violation] = []
        """All that was found so far."""
        self.commits = 0
        self._skew = skew
        self._apart = apart
        self._now = _EPOCH
        self._versions: dict[tuple[str, str, str], int] = {}
        self._before: dict[tuple[str, str, str], Any] = {}
        self._cases: dict[str, Case] = {}
        self._plans: dict[SectionKey, PlannedSection] = {}
        self._prices: dict[SectionKey, Money] = {}
        self._concerts: set[str] = set()
        self._buyers = BuyerTally()
        self._book = PriceBook()
        self._scheduled: set[str] = set()
        self._told: dict[str, ConcertTold] = {}
        self._closed: set[SectionKey] = set()
        """Sections of concerts that are called off."""
        self._sections: dict[SectionKey, Section] = {}
        self._tallies: dict[SectionKey, Tally] = {}
        self._lines: dict[SectionKey, Line] = {}
        """Waiting lists."""
        self._drawn: dict[SectionKey, dict[str, int]] = {}
        """Seats that were held out of blocks."""
        self._seats = SeatBook(skew)
        self._committed: dict[str, bytes] = {}
        self._case_of_event: dict[str, str] = {}
        self._logged: dict[str, int] = {}
        self._payment_case: dict[str, str] = {}
        self._letters: dict[str, DeadLetter] = {}
        self._chain = Chain()
        self._head: Head | None = None
        self._segments = Segments(segment_entries)
        self._desk = Desk()
        self._invoices = InvoiceBook(skew)

    def commit(
        self,
        writes: Iterable[Write] = (),
        events: Iterable[Body] = (),
        *,
        at: datetime | None = None,
    ) -> list[Violation]:
        """One commit has become durable, whole: its records and its events.

        `at` is the time at which it was decided; without it, the time of the last event seen. Returns what it broke.
        """
        self.commits += 1
        found: list[Violation] = []
        touched: dict[str, None] = {}
        sections: dict[SectionKey, None] = {}
        for body in events:
            found += self._take_event(documents.as_bytes(body), touched)
        if at is not None:
            self._now = at
        entries: list[Write] = []
        for write in writes:
            found += self._count_version(write)
            if write.kind == Kind.AUDIT_ENTRY:
                entries.append(write)
            elif write.kind in _KNOWN:
                found += self._take_document(write, touched, sections)
        for write in entries:
            found += self._take_entry(write, touched)
        if entries:
            found += self._chain.ends_at(self._head)
        for key in sections:
            tally = self._tallies.setdefault(key, Tally())
            found += counts(key, self._sections.get(key), tally, self._plans.get(key), self._now)
            found += self._blocks_told(key, self._now)
            if (line := self._lines.get(key)) is not None:
                found += line.counted(self._sections.get(key))
            found += self._seats.now(key, self._sections.get(key), self._plans.get(key), self._now)
        found += self._look_at(touched)
        return self._keep(found)

    def published(self, body: Body) -> list[Violation]:
        """An event was handed to the bus. It must have been committed before, as it is."""
        raw = documents.as_bytes(body)
        try:
            id = events.event(raw).id
        except Unreadable as error:
            return self._keep([violated(Invariant.WHOLE_LOG, "unreadable", "an event", f"published: {error}")])
        if id not in self._committed:
            detail = "it was published, and it was not committed"
            return self._keep([violated(Invariant.WHOLE_LOG, "published-uncommitted", f"event {id}", detail)])
        if self._committed[id] != raw:
            detail = "it was published otherwise than it was committed"
            return self._keep([violated(Invariant.WHOLE_LOG, "published-changed", f"event {id}", detail)])
        return []

    def money(self, key: str, *, captured: int, refunded: int, charges: int = 1) -> list[Violation]:
        """The provider's ledger says this of `key` from now on: all that was taken and given back, minor units."""
        line = LedgerLine(key=key, captured=captured, refunded=refunded, charges=charges)
        owner = self._payment_case.get(line.payment_id)
        if owner is None:
            if not captured:
                return []
            detail = f"{captured} were taken, and no payment has this key"
            return self._keep([violated(Invariant.ONE_CAPTURE, "money-without-payment", f"key {key}", detail)])
        self._cases[owner].ledger[key] = line
        return self._keep(self._look_at({owner: None}))

    def provider_errs(self, key: str) -> None:
        """The provider does something wrong under this key, by its own fault. It has to be mended, or shown."""
        owner = self._payment_case.get(key.rpartition(".")[0])
        if owner is not None:
            self._cases[owner].erring.add(key)

    def answered(self, seen: Observation) -> list[Violation]:
        """A client got an answer. What it promises must be durable by now."""
        found = list(self._desk.look(seen))
        concert = concert_claimed(seen)
        if concert is not None and concert not in self._concerts:
            detail = f"{seen.method} {seen.path} was answered 201, and there is no such concert"
            found.append(violated(Invariant.ACKNOWLEDGED_STAYS, "concert-gone", f"concert {concert}", detail))
        for claimed in claims_of(seen):
            self._case(claimed.case).claims.append(claimed.claim)
            found += self._look_at({claimed.case: None})
        return self._keep(found)

    def settled(
        self,
        now: datetime,
        *,
        outbox: Sequence[Body] = (),
        grace: timedelta = timedelta(),
        unlogged: Collection[str] = (),
        tickets_since: datetime | None = _EPOCH,
    ) -> list[Violation]:
        """Faults have stopped and nothing is under way: everything must have come to its end.

        `outbox`: the events that are still in it. `grace`: how long past its time a hold may stand. `unlogged`: events
        that are known to have been lost on their way to the log. `tickets_since`: orders that were paid before may have
        no tickets; None: so may all.
        """
        self._now = max(self._now, now)
        found: list[Violation] = []
        if outbox:
            detail = f"{len(outbox)} committed events were not delivered"
            found.append(violated(Invariant.SETTLES, "outbox", "the outbox", detail))
        for id in self._committed.keys() - self._logged.keys():
            if id not in self._case_of_event and id not in unlogged:  # those of an order are named with its story
                detail = "it was committed and did not reach the log"
                found.append(violated(Invariant.WHOLE_LOG, "not-in-the-log", f"event {id}", detail))
        for letter in self._letters.values():
            found += order_rules.explained(letter)
        off = frozenset(id for id, each in self._told.items() if each.cancelled is not None)
        terms = self._terms()._replace(now=now, grace=grace, tickets_since=tickets_since, called_off=off)
        for id, each in self._told.items():
            found += one_after_another(id, each)
        carts = CartBook()
        for case in self._cases.values():
            told = fold(case.facts)
            carts.case(case, told)
            found += order_rules.always(case, told, terms, self._prices)
            found += order_rules.once_quiet(case, told, terms)
            found += self._invoices.once_quiet(case, told)
        found += carts.found(quiet=True)
        for key, section in self._sections.items():
            found += counts(key, section, self._tallies.setdefault(key, Tally()), self._plans.get(key), now)
            found += closed(key, section, self._told.get(key[0]))
            found += self._blocks_told(key, now)
        return self._keep([each for each in found if not _is_excused(each, unlogged)])

    def story(self, order_id: str) -> tuple[Fact, ...]:
        """All that has happened to an order, causes before effects."""
        case = self._cases.get(order_id)
        return in_story_order(case.facts) if case is not None else ()

    def _blocks_told(self, key: SectionKey, now: datetime) -> Iterable[Violation]:
        section, drawn = self._sections.get(key), self._drawn.get(key, {})
        if not drawn and section is not None and not section.changes:
            return ()
        told = self._told.get(key[0])
        return block_rules.as_told(key, section, told, drawn, now=now, skew=self._skew)

    def _keep(self, found: list[Violation]) -> list[Violation]:
        self.violations += found
        return found

    def _terms(self) -> Terms:
        return Terms(self._now, skew=self._skew)

    def _look_at(self, touched: Iterable[str]) -> list[Violation]:
        terms = self._terms()
        found: list[Violation] = []
        for key in touched:
            case = self._case(key)
            told = fold(case.facts)
            found += order_rules.always(case, told, terms, self._prices)
            found += self._invoices.always(case, told)
            for fact, cause in missing_causes(case):
                if cause not in self._committed:
                    detail = f"{fact.event.type} {fact.event.id} was caused by {cause}, which was never committed"
                    found.append(violated(Invariant.WHOLE_LOG, "unknown-cause", case.subject, detail))
        return found

    def _case(self, key: str) -> Case:
        case = self._cases.get(key)
        if case is None:
            case = self._cases[key] = Case(key)
        return case

    def _take_event(self, raw: bytes, touched: dict[str, None]) -> list[Violation]:
        try:
            fact = Fact(event=events.event(raw))
        except Unreadable as error:
            return [violated(Invariant.WHOLE_LOG, "unreadable", "an event", f"committed: {error}")]
        event = fact.event
        if event.id in self._committed:
            return [violated(Invariant.WHOLE_LOG, "committed-twice", f"event {event.id}", "its id was used before")]
        self._committed[event.id] = raw
        self._now = max(self._now, event.time)
        key = key_of_event(fact)
        if key is None:
            self._invoices.settings(fact)
            return self._take_concert_event(fact) if event.type in CONCERT_EVENTS else []
        self._case_of_event[event.id] = key
        self._case(key).facts.append(fact)
        touched[key] = None
        return self._judged_alone(fact, key)

    def _judged_alone(self, fact: Fact, key: str) -> list[Violation]:
        """What is wrong about an event of this case, whatever the rest of it."""
        event = fact.event
        if event.type == DIFFERS and event.data.key not in self._case(key).erring:
            detail = f"{event.data.kind} is found under {event.data.key}, and the provider did nothing wrong there"
            return [violated(Invariant.ONE_CAPTURE, "differs-for-nothing", f"event {event.id}", detail)]
        if event.type in INVOICE_EVENTS:
            return list(self._invoices.numbered_next(fact))
        section = (event.data.concert_id or "", event.data.section or "")
        if event.type in LIST_EVENTS:
            return list(self._lines.setdefault(section, Line(section)).take(fact))
        if event.type == "SeatsReserved":
            return self._held_now(section, fact)
        self._book.seats(fact)
        return self._given_when_off(section, fact)

    def _held_now(self, section: SectionKey, fact: Fact) -> list[Violation]:
        """Seats are held: out of a block, or for somebody whose turn it is, at the price of now."""
        data = fact.event.data
        line, wrong = self._lines.get(section), list[Violation]()
        if line is not None:
            wrong += line.walked(fact)
        if data.block is not None:
            drawn = self._drawn.setdefault(section, {})
            drawn[data.block] = drawn.get(data.block, 0) + (data.quantity or 0)
            wrong += block_rules.drawn_in_time(section, fact, self._told.get(section[0]))
        if (differs := self._held_at(section, fact)) is not None:
            return [*wrong, differs]
        wrong += self._book.held(fact, self._told.get(section[0]), self._prices.get(section), skew=self._skew)
        return [*wrong, *self._given_when_off(section, fact)]

    def _given_when_off(self, section: SectionKey, fact: Fact) -> list[Violation]:
        event = fact.event
        is_given = event.type in ("SeatsReserved", "SeatsSold") and not event.repeated
        if is_given and section in self._closed:
            detail = f"{event.type} {event.id}: its seats were given away after its concert was called off"
            return [violated(Invariant.LEGAL_STEPS, "sold-when-called-off", f"section {'/'.join(section)}", detail)]
        return []

    def _held_at(self, section: SectionKey, fact: Fact) -> Violation | None:
        """Seats cost what the section's do when they are held; those for late money (`.`) what they did before."""
        told, plan, data = self._told.get(section[0]), self._plans.get(section), fact.event.data
        is_changed = told is not None and bool(told.sections.get(section[1]))
        if not is_changed or plan is None or "." in (data.reservation_id or "") or data.price == plan.price:
            return None
        detail = f"its seats are held at {data.price or 'the first price'}, and the section's cost {plan.price}"
        name = f"reservation {data.reservation_id}"
        return violated(Invariant.ONE_LIVE_RESERVATION, "held-at-another-price", name, detail)

    def _take_concert_event(self, fact: Fact) -> list[Violation]:
        data = fact.event.data
        concert_id = data.concert_id or ""
        if fact.event.type in CODE_EVENTS:
            self._book.code(fact)
            return []
        self._scheduled.add(concert_id)
        self._told.setdefault(concert_id, ConcertTold()).add(fact)
        plan = self._plans.get((concert_id, data.section or ""))
        if plan is not None:
            seats = plan.total_seats if data.total_seats is None else data.total_seats
            price = data.price or plan.price
            its = data.plan or plan.plan
            self._plans[concert_id, plan.id] = msgspec.structs.replace(plan, total_seats=seats, price=price, plan=its)
        return []

    def _key(self, write: Write) -> tuple[str, str, str]:
        """Which record it is."""
        return write.kind, write.partition if self._apart else "", write.id

    def _count_version(self, write: Write) -> list[Violation]:
        key = self._key(write)
        before = self._versions.get(key, 0)
        self._versions[key] = write.version
        if write.version == before + 1:
            return []
        detail = f"version {write.version} was written over version {before}"
        return [violated(Invariant.LEGAL_STEPS, "version-gap", f"{write.kind} {write.id}", detail)]

    def _take_document(  # noqa: PLR0911, PLR0912 - a case for each kind of record
        self, write: Write, touched: dict[str, None], sections: dict[SectionKey, None]
    ) -> list[Violation]:
        key = self._key(write)
        try:
            read = documents.document(Kind(write.kind), write.version, write.body)
        except Unreadable as error:
            detail = f"it can't be read: {error}"
            return [violated(Invariant.LOG_GIVES_STORES, "unreadable", f"{write.kind} {write.id}", detail)]
        before = self._before.get(key)
        self._before[key] = read
        more: Iterable[Violation] = ()
        match read:
            case Order():
                self._case(read.id).order = read
                touched[read.id] = None
                more = self._buyers.order(read)
            case Reservation():
                self._take_reservation(before, read, touched, sections)
                more = [*self._buyers.reservation(read), *self._book.reservation(read)]
            case Payment():
                _exchange(self._case(read.order_id).payments, before, read)
                more = self._take_shares(before, read, touched)
                self._payment_case[read.id] = read.order_id
                touched[read.order_id] = None
            case Notification():
                _exchange(self._case(read.order_id).notifications, before, read)
                touched[read.order_id] = None
                more = illegal_return(before, read)
            case OrderTickets():
                self._case(read.order_id).tickets = read
                touched[read.order_id] = None
            case Section():
                self._sections[(read.concert_id, read.id)] = read
                if read.closed:
                    self._closed.add((read.concert_id, read.id))
                sections[(read.concert_id, read.id)] = None
            case Concert():
                return self._take_concert(before, read)
            case SeatPlan():
                return list(self._seats.plan(read))
            case DeadLetter():
                self._take_letter(read)
            case Head():
                self._head = read
                return self._segments.write(write.partition, read)
            case _ if write.kind in ANSWERS and isinstance(before, KeptAnswer) and before.answer is not None:
                detail = "the answer kept for a key was written over"
                return [violated(Invariant.SAME_ANSWER, "answer-changed", f"{write.kind} {write.id}", detail)]
            case KeptAnswer() if is_refused_for_now(read):
                detail = "a refusal that time or stock undoes was kept for a key"
                return [violated(Invariant.SAME_ANSWER, "refusal-kept", f"{write.kind} {write.id}", detail)]
        return [*illegal_step(before, read), *more]

    def _take_shares(self, before: Payment | None, read: Payment, touched: dict[str, None]) -> list[Violation]:
        """Note what each line of a cart has of the cart's payment."""
        earlier = {} if before is None else {line.id: line for line in lines_of(before)}
        found: list[Violation] = []
        for line in lines_of(read):
            _exchange(self._case(line.order_id).payments, earlier.get(line.id), line)
            touched[line.order_id] = None
            found += illegal_step(earlier.get(line.id), line)
        return found

    def _take_reservation(
        self,
        before: Reservation | None,
        read: Reservation,
        touched: dict[str, None],
        sections: dict[SectionKey, None],
    ) -> None:
        section = (read.concert_id, read.section)
        tally = self._tallies.setdefault(section, Tally())
        case = key_of_reservation(read)
        if before is not None:
            self._tallies.setdefault((before.concert_id, before.section), tally).add(before, -1)
            if key_of_reservation(before) != case:
                self._case(key_of_reservation(before)).reservations.remove(before)
                before = None
        tally.add(read)
        self._seats.reservation(read)
        _exchange(self._case(case).reservations, before, read)
        touched[case] = None
        sections[section] = None

    def _take_concert(self, before: Concert | None, read: Concert) -> list[Violation]:
        self._concerts.add(read.id)
        self._invoices.concert(read)
        self._buyers.concert(read.id, read.max_per_buyer)
        self._plans = {**plans_of([read]), **self._plans}
        self._prices |= {(read.id, plan.id): plan.price for plan in read.sections}
        if before is not None and before.sections != read.sections:
            detail = "its sections changed after it was scheduled"
            return [violated(Invariant.LEGAL_STEPS, "concert-changed", f"concert {read.id}", detail)]
        if read.id not in self._scheduled:
            detail = "it is there, and no event tells of it"
            return [violated(Invariant.LOG_GIVES_STORES, "concert-untold", f"concert {read.id}", detail)]
        return []

    def _take_letter(self, read: DeadLetter) -> None:
        self._letters[read.id] = read
        key = self._case_of_event.get(read.event_id)
        if key is not None:
            case = self._case(key)
            case.letters = [each for each in case.letters if each.id != read.id] + [read]

    def _take_entry(self, write: Write, touched: dict[str, None]) -> list[Violation]:
        fact, raw, found = self._chain.follow(write.id, write.body)
        if fact is None:
            return found
        id = fact.event.id
        if id in self._logged:
            found.append(violated(Invariant.WHOLE_LOG, "logged-twice", f"event {id}", "the log has it twice"))
        self._logged[id] = fact.sequence
        committed = self._committed.get(id)
        if committed is None:
            detail = "the log has it, and it was never committed"
            found.append(violated(Invariant.WHOLE_LOG, "logged-uncommitted", f"event {id}", detail))
            return found
        if committed != raw:
            detail = "the log has it otherwise than it was committed"
            found.append(violated(Invariant.WHOLE_LOG, "logged-changed", f"event {id}", detail))
        key = self._case_of_event.get(id)
        if key is not None:
            facts = self._case(key).facts
            facts[:] = [fact if each.event.id == id else each for each in facts]
            touched[key] = None
        return found


_KNOWN = frozenset(Kind) - {Kind.AUDIT_ENTRY}


def _is_excused(violation: Violation, unlogged: Collection[str]) -> bool:
    if violation.rule != "not-in-the-log" or not violation.evidence:
        return False
    return all(fact.event.id in unlogged for fact in violation.evidence)


def _exchange(stored: list[Any], before: Any | None, after: Any) -> None:
    if before is not None:
        stored.remove(before)
    stored.append(after)
