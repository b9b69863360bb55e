"""`check`: a whole world at one instant, whatever its size. Reads everything once, grouped by order.

The rules are those of `SafetyChecker` (`stepwise.py`), which sees a world grow; here it is as it stands.
"""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from cludale_proof.checker import block_rules, order_rules
from cludale_proof.checker.cart_rules import CartBook
from cludale_proof.checker.cases import Case, Terms, missing_causes
from cludale_proof.checker.concert_rules import ConcertTold, closed
from cludale_proof.checker.concert_rules import one_after_another as one_concert_after_another
from cludale_proof.checker.documents import (
    DeadLetter,
    Kind,
    Notification,
    Order,
    OrderTickets,
    Payment,
    Reservation,
    Section,
)
from cludale_proof.checker.events import Fact
from cludale_proof.checker.findings import Invariant, Report
from cludale_proof.checker.gathering import Gathering, Progress
from cludale_proof.checker.history import OrderHistory
from cludale_proof.checker.ledger import LedgerLine
from cludale_proof.checker.lifecycle import (
    fold,
)
from cludale_proof.checker.observations import Claim, Observation
from cludale_proof.checker.reading import Payee, Reading
from cludale_proof.checker.section_rules import (
    Occupancy,
    SectionKey,
    Tally,
    broken,
    counts,
    never_oversold,
)
from cludale_proof.checker.snapshot import Snapshot
from cludale_proof.checker.spill import IN_MEMORY_LIMIT, Spill
from cludale_proof.checker.waiting_rules import Walked

_CASE_PARTS = Order | Reservation | Payment | Notification | OrderTickets | DeadLetter | LedgerLine | Fact | Claim


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
        violations=run.gathered.violations,
        counts=run.gathered.counts,
        notes=run.gathered.notes,
        omitted=run.gathered.omitted,
        unchecked=run.gathered.unchecked,
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
        self._snapshot = snapshot
        self._quiet = quiet
        self._in_memory_limit = in_memory_limit
        self._size = max(1, snapshot.size())
        self.gathered = Gathering(size=self._size, limit=limit, progress=progress)
        self._found, self._wrong = self.gathered.found, self.gathered.wrong
        self._read = Reading(snapshot, terms, self.gathered)
        self._occupancies: dict[SectionKey, Occupancy] = {}
        self._draws: dict[SectionKey, list[tuple[str, datetime, int]]] = {}
        """Seats that were held out of blocks: of which, when, how many."""
        self._unresolved: dict[str, tuple[str, Fact]] = {}
        """Id of a cause that is not in its order's own story → whose story, and the event that names it."""

    def check(self, observations: Iterable[Observation]) -> None:
        read, gathered = self._read, self.gathered
        with (
            Spill(_CASE_PARTS, expected=self._size, in_memory_limit=self._in_memory_limit) as cases,
            Spill(LedgerLine | Payee, expected=self._size // 8, in_memory_limit=self._in_memory_limit) as money,
            Spill(Reservation | Claim, expected=self._size // 8, in_memory_limit=self._in_memory_limit) as seats,
        ):
            read.all(observations, cases, money, seats)
            self._join_money(money, cases)
            self._check_promised_seats(seats)
            off = frozenset(id for id, told in read.told.items() if told.cancelled is not None)
            read.terms = read.terms._replace(called_off=off)
            self._check_cases(cases)
        gathered.found(read.invoices.without_holes())
        self._check_concerts()
        self._check_sections()
        self._check_causes()
        self._check_delivery()
        if read.marked:
            gathered.notes.append(f"{read.marked} entries of the log are marked late: taken in without their cause")
        if read.kept:
            gathered.notes.append(f"{read.kept} events wait outside the log until their causes are in it")

    def _join_money(self, money: Spill, cases: Spill) -> None:
        for payment_id, parts in money.groups():
            owner = next((part.order_id for part in parts if isinstance(part, Payee)), None)
            for part in parts:
                if not isinstance(part, LedgerLine):
                    continue
                if owner is not None:
                    cases.put(owner, part)
                elif (
                    part.net and self._read.terms.ledger_exact
                ):  # else the payment may be newer than what was read of it
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
        read = self._read
        carts = CartBook(ledger_known=read.terms.ledger_known, ledger_exact=read.terms.ledger_exact)
        for key, parts in self.gathered.counted("cases", cases.groups(), tells=False):
            case = Case(key)
            self._fill(case, parts)
            told = fold(case.facts)
            carts.case(case, told)
            self._found(order_rules.always(case, told, read.terms, read.prices))
            if self._quiet:
                self._found(order_rules.once_quiet(case, told, read.terms))
            self._check_ends(told)
            self._occupy(told)
            read.seats.told(told)
            if case.order is not None:
                self._found(read.buyers.count(case.order, case.reservations))
            self._check_bills(case, told)
            self._found(read.invoices.always(case, told))
            if self._quiet:
                self._found(read.invoices.once_quiet(case, told))
            for fact, cause in missing_causes(case):
                if not fact.cause_missing:
                    self._unresolved.setdefault(cause, (case.subject, fact))

        self._found(carts.found(quiet=self._quiet))

    def _check_bills(self, case: Case, told: OrderHistory) -> None:
        read = self._read
        for (concert, section, _), reservation in told.reservations.items():
            if reservation.reserved is not None:
                plan = read.prices.get((concert, section))
                told_of = read.told.get(concert)
                self._found(read.book.held(reservation.reserved, told_of, plan, skew=read.terms.skew, tiers=False))
        for each in case.reservations:
            self._found(read.book.reservation(each))

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
        self._read.on_the_way += sum(not fact.sequence for fact in case.facts)

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
        read = self._read
        if told.order.reserved is None or told.order.reserved.event.data.cancel_until is None:
            return
        for (concert, _, id), reservation in told.reservations.items():
            scheduled, reserved = read.scheduled.get(concert), reservation.reserved
            if scheduled is None or reserved is None:
                continue
            end = read.told[concert].over_at()
            plan = read.plans.get((concert, reserved.event.data.section or ""))
            price = reserved.event.data.price
            if price is not None and plan is not None and price not in read.told[concert].prices(plan):
                detail = f"a seat of it is {price}, which it never was in its section"
                self._wrong(Invariant.ONE_LIVE_RESERVATION, "price-of-nowhere", f"reservation {id}", detail, reserved)
            if end is not None and reserved.event.time >= end:
                detail = f"its seats were given out at {reserved.event.time}, and the concert is over since {end}"
                self._wrong(Invariant.LEGAL_STEPS, "sold-when-over", f"reservation {id}", detail, scheduled, reserved)

    def _occupy(self, told: OrderHistory) -> None:
        read = self._read
        for (concert, section, _), reservation in told.reservations.items():
            times = reservation.occupied()
            if times is not None:
                key = (concert, section)
                occupancy = self._occupancies.get(key)
                if occupancy is None:
                    occupancy = self._occupancies[key] = Occupancy(read.terms.skew)
                occupancy.add(*times, reservation.first.data.quantity or 0)
                reserved = reservation.reserved
                if reserved is not None and key in read.lines and reserved.event.data.block is None:
                    walked = Walked(reserved.event.data.order_id, reserved.event.time, reserved.event.id)
                    read.lines[key].held.append(walked)
                if reserved is not None and (block := reserved.event.data.block) is not None:
                    drawn = (block, reserved.event.time, reserved.event.data.quantity or 0)
                    self._draws.setdefault(key, []).append(drawn)
                for fact in reservation.returned.values():
                    occupancy.give_back(fact.event.time, times[1], fact.event.data.tickets or 0)

    def _check_concerts(self) -> None:
        read = self._read
        for id in read.concerts.keys() - read.scheduled.keys():
            detail = "the concert is there, and no event tells of it"
            self._wrong(Invariant.LOG_GIVES_STORES, "concert-untold", f"concert {id}", detail)
        for id, fact in read.scheduled.items():
            concert = read.concerts.get(id)
            if concert is None:
                detail = "its event is there, the concert is not"
                self._wrong(Invariant.LOG_GIVES_STORES, "concert-lost", f"concert {id}", detail, fact)
            else:
                told = read.told[id]
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
        read = self._read
        for key in {*read.sections, *read.tallies}:
            tally = read.tallies.get(key) or Tally()
            plan, told = read.plans.get(key), read.told.get(key[0])
            section = read.sections.get(key)
            now = plan if plan is None or told is None else told.plan(plan)
            self._found(counts(key, section, tally, now, read.terms.now))
            if self._quiet and section is not None:
                self._found(closed(key, section, told))
            self._check_blocks(key, section, told)
        for key, line in read.lines.items():
            self._found(line.judged(read.sections.get(key), read.terms.skew))
        for key in {
            *read.seats.sections,
            *(key for key, plan in read.plans.items() if plan.plan is not None),
        }:
            plan, told = read.plans.get(key), read.told.get(key[0])
            now = plan if plan is None or told is None else told.plan(plan)
            self._found(read.seats.check(key, read.sections.get(key), now, read.terms.now))
        for key, occupancy in self._occupancies.items():
            plan = read.plans.get(key)
            if plan is not None:
                for at, seats in read.told[key[0]].resizes(key[1]) if key[0] in read.told else ():
                    occupancy.resize(at, seats)
                self._found(never_oversold(key, occupancy, plan.total_seats))
            elif key not in read.sections:
                self._found([broken(key, "unplanned", "seats of it were held, and no concert has it")])

    def _check_blocks(self, key: SectionKey, section: Section | None, told: ConcertTold | None) -> None:
        draws = self._draws.get(key, [])
        drawn: dict[str, int] = {}
        for block, _, quantity in draws:
            drawn[block] = drawn.get(block, 0) + quantity
        if not drawn and not block_rules.blocks_of(told, key[1]) and not (section and section.blocks):
            return
        terms = self._read.terms
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
        read = self._read
        committed = self._snapshot.committed_events()
        known = read.logged + read.on_the_way
        self.gathered.counts["events"] = known
        if committed is not None and committed != known:
            detail = f"{committed} events were committed, {read.logged} are in the log and {read.on_the_way} under way"
            self._wrong(Invariant.WHOLE_LOG, "events-lost", "the log", detail)
        if not self._quiet:
            return
        waiting = self.gathered.counts.get("undelivered events", 0)
        if waiting:
            self._wrong(Invariant.SETTLES, "outbox", "the outbox", f"{waiting} events were not delivered to everyone")
        for letter in read.letters.values():
            self._found(order_rules.explained(letter))
