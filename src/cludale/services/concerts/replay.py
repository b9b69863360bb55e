"""Concerts from the log: concerts, sections and reservations, as the events alone tell of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from cludale.kernel.allocation import seats_named
from cludale.kernel.events import Envelope
from cludale.runtime.replay import NotYet, Ref, States, Table
from cludale.services.concerts import keys
from cludale.services.concerts.blocks import block as blocks
from cludale.services.concerts.blocks.block import BlockList
from cludale.services.concerts.changes import domain as changes
from cludale.services.concerts.codes import domain as codes
from cludale.services.concerts.codes.domain import Code
from cludale.services.concerts.concert import Concert, as_scheduled
from cludale.services.concerts.events import (
    TOPIC,
    CodeChanged,
    CodeCreated,
    ConcertScheduled,
    ConcertStep,
    KeyCreated,
    KeyRevoked,
    SaleRefused,
    SeatsHeldBack,
    SeatsLetGo,
    SeatsMoved,
    SeatsOffered,
    SeatsReserved,
    SeatsReturned,
    SeatsSold,
    SectionStep,
    WaitingListJoined,
    WaitingListLeft,
)
from cludale.services.concerts.evolution import Seating, evolve
from cludale.services.concerts.keys import Keys
from cludale.services.concerts.numbered import seats_told
from cludale.services.concerts.stock import Reservation, Section, Status, empty_section
from cludale.services.concerts.store import (
    ALL_KEYS,
    BLOCKS,
    CODES,
    CONCERTS,
    KEYS,
    RESERVATIONS,
    SECTIONS,
    WAITING,
    SectionKey,
)
from cludale.services.concerts.waiting import domain as waiting
from cludale.services.concerts.waiting.domain import WaitingList

_FOLDED = tuple(each for each in TOPIC.events if each is not SaleRefused)
"""A sale that is refused changes nothing here."""
_OF_BLOCKS = (SeatsHeldBack, SeatsLetGo)
_KEYS = Ref("keys", ALL_KEYS, ALL_KEYS)


def _concert(concert: Concert) -> Mapping[str, object]:
    told = [name for name in concert.__struct_fields__ if name != "organizer_id"]
    return _fields_set(concert, told) | {"organizer": concert.organizer}


def _fields_set(state: Concert | Reservation, names: Sequence[str]) -> dict[str, object]:
    """These fields of it, but for those that it says nothing of."""
    found = {name: getattr(state, name) for name in names}
    return {name: value for name, value in found.items() if value is not UNSET}


def _section(section: Section) -> Mapping[str, object] | None:
    if not (section.sold or section.held or section.changes or section.waiting):
        return None  # as if nobody had touched it: that its concert is called off closes it, and no event of its own
    told = {"total": section.total, "sold": section.sold, "held": dict(section.held), "price": section.price}
    if section.numbered is not UNSET:
        told["seats"] = seats_told(section.numbered)
    return told | {"changes": section.changes, "blocks": dict(section.its_blocks), "waiting": section.waiting or 0}


def _waiting(known: WaitingList) -> Mapping[str, object] | None:
    if not known.joined:
        return None  # nobody has waited, though orders may have left before they joined, which is in no event
    # Whose they are is in no event.
    return {"joined": known.joined, "entries": tuple(replace(each, buyers=()) for each in known.entries)}


def _blocks(listed: BlockList) -> Mapping[str, object]:
    return {"entries": listed.entries}


def _reservation(reservation: Reservation) -> Mapping[str, object]:
    told = (
        "section",
        "quantity",
        "order_id",
        "expires_at",
        "status",
        "released_for",
        "price",
        "bill",
        "priced",
        "block",
        "numbered_seats",
        "moved",
    )
    returns = {} if reservation.returns is UNSET else dict(reservation.returns)
    return _fields_set(reservation, told) | {"returns": returns}


def _code(code: Code) -> Mapping[str, object]:
    return {name: getattr(code, name) for name in ("terms", "limits", "created_at", "changes")}  # uses are no events


def _keys(keys: Keys) -> Mapping[str, object]:
    told = ("organizer", "scopes", "only_concert", "created_at", "ends_at")  # no event has digest and name
    return {key.id: {name: getattr(key, name) for name in told} for key in keys.keys}


class ConcertsReplay:
    """Folds what concerts published."""

    service = "concerts"
    event_types = frozenset(e.__name__ for e in _FOLDED)
    tables: Sequence[Table[Any]] = (
        Table(CONCERTS.kind, CONCERTS.decode, CONCERTS.put, lambda concert: concert.id, _concert),
        Table(
            SECTIONS.kind,
            SECTIONS.decode,
            SECTIONS.put,
            lambda section: SectionKey(section.concert_id, section.id).partition,
            _section,
        ),
        Table(
            RESERVATIONS.kind,
            RESERVATIONS.decode,
            RESERVATIONS.put,
            lambda r: SectionKey(r.concert_id, r.section).partition,
            _reservation,
        ),
        Table(
            BLOCKS.kind,
            BLOCKS.decode,
            BLOCKS.put,
            lambda listed: SectionKey(listed.concert_id, listed.section).partition,
            _blocks,
        ),
        Table(
            WAITING.kind,
            WAITING.decode,
            WAITING.put,
            lambda known: SectionKey(known.concert_id, known.section).partition,
            _waiting,
        ),
        Table(CODES.kind, CODES.decode, CODES.put, lambda code: code.id, _code),
        Table(KEYS.kind, KEYS.decode, KEYS.put, lambda _: ALL_KEYS, _keys),
    )

    def touches(self, event: Envelope) -> Sequence[Ref]:
        """The concert; for seats, their section and reservation too."""
        data = event.data
        if isinstance(data, KeyCreated | KeyRevoked):
            return (_KEYS,)
        if isinstance(data, CodeCreated | CodeChanged):
            id = codes.code_id(data.concert_id, data.code)
            return (Ref("code", id, id),)
        concert = Ref("concert", data.concert_id, data.concert_id)
        if isinstance(data, ConcertScheduled | ConcertStep):
            return (concert,)
        if isinstance(data, SectionStep | WaitingListJoined | WaitingListLeft):
            partition = SectionKey(data.concert_id, data.section).partition
        else:
            partition = SectionKey.of(data.allocation).partition
        refs = [concert, Ref("section", partition, partition)]
        if isinstance(data, WaitingListJoined | WaitingListLeft | SeatsOffered):
            refs.append(Ref(WAITING.kind.name, partition, partition))
        elif not isinstance(data, SectionStep):
            refs.append(Ref("reservation", partition, data.subject))
        if isinstance(data, _OF_BLOCKS) or (isinstance(data, SeatsReserved) and data.block):
            refs.append(_listed(partition))
        return refs

    def fold(self, event: Envelope, states: States) -> None:
        """Schedule a concert, or move seats as the fact says."""
        data = event.data
        match data:
            case ConcertScheduled():
                concert = as_scheduled(data)
                states.put(Ref("concert", concert.id, concert.id), concert)
            case KeyCreated() | KeyRevoked():
                states.put(_KEYS, keys.evolve(states.get(_KEYS) or Keys(), data))
            case CodeCreated() | CodeChanged():
                _fold_code(event, states, *self.touches(event))
            case ConcertStep():
                _fold_change(data, states, *self.touches(event))
            case SectionStep():
                _fold_section(event, states, *self.touches(event))
            case WaitingListJoined() | WaitingListLeft() | SeatsOffered():
                _fold_list(event, states, *self.touches(event))
            case _:
                self._fold_seats(data, states, event)

    def _fold_seats(self, data: Any, states: States, event: Envelope) -> None:
        concert_ref, section_ref, reservation_ref, *listed = self.touches(event)
        concert = states.get(concert_ref)
        if listed and not _has_block(states.get(listed[0]), data.block):
            raise NotYet  # it is drawn from a block of which the log tells later
        reservation = states.get(reservation_ref)
        if concert is None or (reservation is None and not isinstance(data, SeatsReserved)):
            raise NotYet
        if isinstance(data, SeatsSold) and reservation.status is not Status.HELD:
            return  # it was sold, and perhaps then given back; this is told again
        if isinstance(data, SeatsReturned):
            if reservation.status is Status.HELD:
                raise NotYet
            if reservation.returns is not UNSET and data.number in reservation.returns:
                return  # it is told again
        if isinstance(data, SeatsMoved):
            known = len(reservation.moved or ())
            if (data.allocation.moves or 0) > known + 1:
                raise NotYet
            if (data.allocation.moves or 0) <= known:
                return
        section = states.get(section_ref) or empty_section(concert, data.allocation.section)
        if any(seat.at >= section.places for seat in seats_named(data.allocation)):
            raise NotYet  # the log tells later of the plan that has these seats
        after = evolve(Seating(section, {reservation.id: reservation} if reservation else {}), data)
        states.put(section_ref, after.section)
        states.put(reservation_ref, after.reservations[data.subject])


def _fold_list(event: Envelope, states: States, concert_ref: Ref, section_ref: Ref, list_ref: Ref) -> None:
    data: Any = event.data
    concert = states.get(concert_ref)
    if concert is None:
        raise NotYet
    where = data.allocation.section if isinstance(data, SeatsOffered) else data.section
    known = states.get(list_ref) or WaitingList(concert_id=data.concert_id, section=where)
    is_new = isinstance(data, WaitingListJoined)
    if data.place > known.joined + is_new:
        raise NotYet  # the log tells later of who joined before
    if (data.place <= known.joined) if is_new else all(each.place != data.place for each in known.entries):
        return  # it is told again
    section = states.get(section_ref) or empty_section(concert, where)
    states.put(section_ref, evolve(Seating(section, {}), data).section)
    states.put(list_ref, waiting.evolve(known, data, at=event.time))


def _fold_code(event: Envelope, states: States, ref: Ref) -> None:
    data, code = event.data, states.get(ref)
    if isinstance(data, CodeCreated):
        states.put(ref, codes.as_created(data, at=event.time))
        return
    if code is None or code.changes < data.change - 1:
        raise NotYet
    if code.changes < data.change:
        states.put(ref, codes.evolve(code, data))


def _fold_change(data: Any, states: States, ref: Ref) -> None:
    concert = states.get(ref)
    if concert is None or concert.revision < data.revision - 1:
        raise NotYet  # the log tells later of what came before
    if concert.revision < data.revision:
        states.put(ref, changes.evolve_concert(concert, data))


def _listed(partition: str) -> Ref:
    return Ref(BLOCKS.kind.name, partition, partition)


def _has_block(listed: BlockList | None, block: str) -> bool:
    return listed is not None and any(each.id == block for each in listed.entries)


def _fold_section(event: Envelope, states: States, concert_ref: Ref, section_ref: Ref, *listed: Ref) -> None:
    data: Any = event.data
    concert = states.get(concert_ref)
    if concert is None:
        raise NotYet
    section = states.get(section_ref) or empty_section(concert, data.section)
    if section.changes < data.change - 1:
        raise NotYet
    if section.changes < data.change:
        states.put(section_ref, evolve(Seating(section, {}), data).section)
        for ref in listed:
            known = states.get(ref) or BlockList(concert_id=data.concert_id, section=data.section)
            states.put(ref, blocks.listed(known, data, at=event.time))
