"""What becomes of a concert and of its sections' seats and prices: changed, postponed, called off. No I/O or HTTP.

Holding and selling are in domain.py.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from cludale.kernel import dates
from cludale.kernel.decision import Decision
from cludale.kernel.events import Event
from cludale.kernel.refusals import Invalid, Refusal
from cludale.kernel.times import rfc3339
from cludale.ports.seats import CalledOff, SeatsNotFree
from cludale.services.concerts import numbered
from cludale.services.concerts.concert import Concert, Postponement
from cludale.services.concerts.domain import BlockSeats, ChangeSection, as_of, blocks_let_go
from cludale.services.concerts.events import (
    ConcertCancelled,
    ConcertChanged,
    ConcertFields,
    ConcertPostponed,
    ConcertStatus,
    Particulars,
    PriceChanged,
    SeatsAdded,
    SeatsBlocked,
    SeatsTaken,
    SeatsUnblocked,
)
from cludale.services.concerts.evolution import Seating, evolve, evolve_all
from cludale.services.concerts.stock import Section

MOST_SEATS = 1_000_000
"""In one section."""

NEXT: Mapping[ConcertStatus, frozenset[ConcertStatus]] = {
    ConcertStatus.DRAFT: frozenset({ConcertStatus.LISTED, ConcertStatus.UNLISTED, ConcertStatus.CANCELLED}),
    ConcertStatus.LISTED: frozenset({ConcertStatus.UNLISTED, ConcertStatus.POSTPONED, ConcertStatus.CANCELLED}),
    ConcertStatus.UNLISTED: frozenset({ConcertStatus.LISTED, ConcertStatus.POSTPONED, ConcertStatus.CANCELLED}),
    ConcertStatus.POSTPONED: frozenset({ConcertStatus.LISTED, ConcertStatus.UNLISTED, ConcertStatus.CANCELLED}),
    ConcertStatus.CANCELLED: frozenset(),
}
_BY_COMMAND = frozenset({ConcertStatus.POSTPONED, ConcertStatus.CANCELLED})
"""Buyers are told of these, with a reason: they have commands of their own."""
_PARTICULARS = frozenset(Particulars.__struct_fields__)


class ChangedMeanwhile(Refusal):
    """Somebody changed the concert since it was looked at: look again, then say again what is to change."""

    def __init__(self, concert_id: str) -> None:
        super().__init__(
            f"Concert {concert_id!r} was changed since you looked at it; read it again and use its new ETag.",
            id=concert_id,
        )


class StatusRefused(Refusal):
    """A concert does not go from this status to that one."""

    def __init__(self, concert_id: str, before: ConcertStatus, wanted: ConcertStatus) -> None:
        allowed = sorted(NEXT[before] - _BY_COMMAND)
        ways = f"allowed: {', '.join(allowed)}" if allowed else "it stays so"
        hint = f"; use POST /concerts/{concert_id}/{_COMMANDS[wanted]}" if wanted in _COMMANDS else ""
        super().__init__(
            f"Concert {concert_id!r} is {before} and can't become {wanted} so; {ways}{hint}.",
            status=before,
            wanted=wanted,
            allowed=allowed,
        )


_COMMANDS: Mapping[ConcertStatus, str] = {ConcertStatus.POSTPONED: "postpone", ConcertStatus.CANCELLED: "cancel"}


class SeatsInUse(Refusal):
    """A section can't have fewer seats than are sold and held."""

    def __init__(self, section: Section, *, wanted: int, now: datetime) -> None:
        held, back = section.held_seats(now), section.held_back(now)
        least = section.sold + held + back
        others = f", {back} held back" if back else ""
        super().__init__(
            f"Section {section.id!r} of concert {section.concert_id!r} has {section.sold} seats sold and {held} held"
            f"{others}: it can't have {wanted}. The least is {least}.",
            section=section.id,
            wanted=wanted,
            sold=section.sold,
            held=held,
            heldBack=back,
            least=least,
        )


# -- the concert --------------------------------------------------------------------------------------------------


def check_times(concert: Concert) -> None:
    """Do its times go together? Raises Invalid."""
    begins, over_at = concert.begins, concert.over_at
    wrong = []
    if concert.ends_at is not None:
        if over_at < begins or concert.last_day < dates.local_day(concert.date):
            wrong.append(("endsAt", "must not be before `date`"))
        elif over_at - begins > dates.LONGEST + timedelta(days=1) - dates.LAST_PLACE:
            wrong.append(("endsAt", f"must be at most {dates.LONGEST.days} days after `date`"))
    if concert.on_sale_at is not None and concert.on_sale_at >= over_at:
        wrong.append(("onSaleAt", f"must be before the concert is over, {rfc3339(over_at)}"))
    if concert.cancel_until is not None and concert.cancel_until > over_at:
        wrong.append(("cancelUntil", f"must not be after the concert is over, {rfc3339(over_at)}"))
    off = concert.more.off_sale_at
    doors = None if concert.more.doors_at is None else dates.begins(concert.more.doors_at, concert.zone)
    if doors is not None and not dates.is_day(concert.date) and doors > begins:
        wrong.append(("doorsAt", "must not be after `date`, when it begins"))
    if doors is not None and doors < begins - timedelta(days=1):
        wrong.append(("doorsAt", "must be at most a day before `date`"))
    if off is not None and concert.on_sale_at is not None and off <= concert.on_sale_at:
        wrong.append(("offSaleAt", "must be after `onSaleAt`"))
    least = concert.more.min_per_order
    if least is not None and least > concert.max_per_order:
        wrong.append(("minPerOrder", f"must be at most `maxPerOrder`, which is {concert.max_per_order}"))
    elif least is not None and concert.max_per_buyer is not UNSET and least > concert.max_per_buyer:
        wrong.append(("minPerOrder", f"must be at most `maxPerBuyer`, which is {concert.max_per_buyer}"))
    if wrong:
        raise Invalid(*wrong)


def change(concert: Concert, fields: ConcertFields, *, expected: int | None, by: str) -> Decision[Concert]:
    """Say anew what it is, or how it is sold; `expected`: the revision that whoever asks has seen. None: whatever.

    What is said already changes nothing, nor does a `cancelUntil` that is sent back as it is shown: where none was
    said, it goes on to follow from the date. Raises ChangedMeanwhile, CalledOff, StatusRefused, Invalid.
    """
    _check_open(concert, expected)
    if fields.cancel_until == concert.cancellable_until:
        fields = replace(fields, cancel_until=UNSET)
    new = differing(concert, fields)
    wanted = new.status
    if wanted is not UNSET and (wanted in _BY_COMMAND or wanted not in NEXT[concert.status]):
        raise StatusRefused(concert.id, concert.status, wanted)
    if new == ConcertFields():
        return Decision(concert)
    changed = ConcertChanged(concert_id=concert.id, revision=concert.revision + 1, changed_by=by, fields=new)
    after = evolve_concert(concert, changed)
    check_times(after)
    return Decision(after, (changed,))


def postpone(
    concert: Concert,
    fields: ConcertFields,
    *,
    reason: str,
    cancel_until: datetime | None,
    expected: int | None,
    by: str,
) -> Decision[Concert]:
    """Move it: to the date in `fields`, or to one that is not known yet. Without `cancel_until`, buyers may cancel
    until it begins. The same again, with nothing in between, changes nothing: buyers are told once.

    Raises ChangedMeanwhile, CalledOff, StatusRefused, Invalid.
    """
    _check_open(concert, expected)
    if concert.status is not ConcertStatus.POSTPONED and ConcertStatus.POSTPONED not in NEXT[concert.status]:
        raise StatusRefused(concert.id, concert.status, ConcertStatus.POSTPONED)
    is_dated = fields.date is not UNSET
    if is_dated:
        said = replace(
            fields,
            status=ConcertStatus.LISTED if concert.listed else ConcertStatus.UNLISTED,
            ends_at=None if fields.ends_at is UNSET else fields.ends_at,
            doors_at=None if fields.doors_at is UNSET else fields.doors_at,
            cancel_until=cancel_until,
        )
    else:
        if cancel_until is None:
            raise Invalid(("cancelUntil", "is required where no new `date` is said"))
        said = replace(fields, status=ConcertStatus.POSTPONED)
    new = differing(concert, said)
    moved = replace(concert, date=fields.date) if fields.date is not UNSET else concert
    told = Postponement(revision=concert.revision, reason=reason, cancel_until=cancel_until or moved.begins)
    if new == ConcertFields() and told == concert.moved:
        return Decision(concert)
    postponed = ConcertPostponed(
        concert_id=concert.id,
        revision=concert.revision + 1,
        changed_by=by,
        reason=reason,
        date=moved.date,
        cancel_until=told.cancel_until,
        fields=replace(new, date=fields.date),  # also where it stays: by it others know that there is one
    )
    after = evolve_concert(concert, postponed)
    check_times(after)
    return Decision(after, (postponed,))


def cancel(concert: Concert, *, reason: str, expected: int | None, by: str) -> Decision[Concert]:
    """Call it off; again changes nothing. Raises ChangedMeanwhile."""
    if concert.status is ConcertStatus.CANCELLED:
        return Decision(concert)
    _check_open(concert, expected)
    off = ConcertCancelled(concert_id=concert.id, revision=concert.revision + 1, changed_by=by, reason=reason)
    return Decision(evolve_concert(concert, off), (off,))


def evolve_concert(concert: Concert, event: Event) -> Concert:
    """The concert after this fact, when it happens and when it is read again."""
    match event:
        case ConcertChanged():
            after = _with(concert, event.fields)
            why = after.why if event.fields.status is UNSET else UNSET
            return replace(after, changed=event.revision, why=why)
        case ConcertPostponed():
            after = _with(concert, event.fields)
            why = event.reason if after.status is ConcertStatus.POSTPONED else UNSET
            told = Postponement(revision=event.revision, reason=event.reason, cancel_until=event.cancel_until)
            return replace(after, changed=event.revision, why=why, moved=told)
        case ConcertCancelled():
            off = _with(concert, ConcertFields(status=ConcertStatus.CANCELLED))
            return replace(off, changed=event.revision, why=event.reason)
        case _:
            return concert


def differing(concert: Concert, fields: ConcertFields) -> ConcertFields:
    """Those of the fields that say something else than the concert does."""
    kept: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(fields).items():
        known = getattr(concert.more if name in _PARTICULARS else concert, name)
        if value is not UNSET and value != known:
            kept[name] = value
    return ConcertFields(**kept)


def _check_open(concert: Concert, expected: int | None) -> None:
    if concert.status is ConcertStatus.CANCELLED:
        raise CalledOff(concert.id, concert.reason)
    if expected is not None and concert.revision != expected:
        raise ChangedMeanwhile(concert.id)


def _with(concert: Concert, fields: ConcertFields) -> Concert:
    said = {name: value for name, value in msgspec.structs.asdict(fields).items() if value is not UNSET}
    status = said.pop("status", None)
    more = {name: said.pop(name) for name in list(said) if name in _PARTICULARS}
    if more:
        said["particulars"] = replace(concert.more, **more)
    if status is not None:
        said["said"] = status
        if status is not ConcertStatus.POSTPONED:  # that one is found where it was found before
            said["listed"] = status is ConcertStatus.LISTED
    return replace(concert, **said)


# -- a section ----------------------------------------------------------------------------------------------------


def change_section(seating: Seating, wanted: ChangeSection, now: datetime) -> Decision[Seating]:
    """So many seats, or such a price, for those who come from now on.

    Raises ChangedMeanwhile, CalledOff, SeatsInUse.
    """
    section = seating.section
    if section.closed is True:
        raise CalledOff(section.concert_id)
    if wanted.expected is not None and section.changes != wanted.expected:
        raise ChangedMeanwhile(section.concert_id)
    events: list[Event] = []
    count = section.changes
    if wanted.total is not None and wanted.total != section.total:
        count += 1
        events.append(_resized(section, wanted.total, count, wanted.changed_by, section.moment(now)))
    if wanted.price is not None and wanted.price != section.price:
        events.append(
            PriceChanged(
                concert_id=section.concert_id,
                section=section.id,
                price=wanted.price,
                before=section.price,
                change=count + 1,
                changed_by=wanted.changed_by,
            )
        )
    after = evolve_all(seating, events)
    if any(isinstance(event, SeatsTaken) for event in events):
        after = as_of(section.moment(now), after)
        gone = blocks_let_go(after.section, section.moment(now))
        after, events = evolve_all(after, gone), [*events, *gone]
    return Decision(after, events)


def _resized(section: Section, total: int, count: int, by: str, now: datetime) -> SeatsAdded | SeatsTaken:
    if section.numbered is not UNSET:
        raise Invalid(("totalSeats", f"of section {section.id!r} is said by its seating plan: it has {section.total}"))
    if total < section.taken(now) + section.held_back(now):
        raise SeatsInUse(section, wanted=total, now=now)
    kind = SeatsAdded if total > section.total else SeatsTaken
    return kind(
        concert_id=section.concert_id,
        section=section.id,
        seats=abs(total - section.total),
        total_seats=total,
        change=count,
        changed_by=by,
    )


def block_seats(seating: Seating, wanted: BlockSeats, now: datetime) -> Decision[Seating]:
    """Nobody gets these seats, or they can be had again; what is so already changes nothing.

    Raises Invalid, SeatsNotFree, CalledOff.
    """
    section, hall = seating.section, seating.hall
    if section.closed is True:
        raise CalledOff(section.concert_id)
    if section.numbered is UNSET or hall is None:
        raise Invalid(("seats", f"the seats of section {section.id!r} have no numbers"))
    seats = hall.seats(hall.places(wanted.seats))
    blocked = section.numbered.blocked
    seats = tuple(seat for seat in seats if (seat.at in blocked) is (wanted.reason is None))
    if not seats:
        return Decision(seating)
    said: dict[str, Any] = {
        "concert_id": section.concert_id,
        "section": section.id,
        "change": section.changes + 1,
        "changed_by": wanted.changed_by,
        "numbered_seats": seats,
    }
    if wanted.reason is None:
        event: Event = SeatsUnblocked(**said)
        return Decision(evolve(seating, event), (event,))
    free = numbered.free_bits(section.numbered, section.places, section.moment(now).timestamp())
    if taken := [seat.id for seat in seats if not free >> seat.at & 1]:
        raise SeatsNotFree(section.concert_id, taken)
    event = SeatsBlocked(**said, reason=wanted.reason)
    return Decision(as_of(section.moment(now), evolve(seating, event)), (event,))


def close(seating: Seating) -> Decision[Seating]:
    """Nobody gets seats any more; again changes nothing."""
    if seating.section.closed is True:
        return Decision(seating)
    return Decision(Seating(replace(seating.section, closed=True), seating.reservations))
