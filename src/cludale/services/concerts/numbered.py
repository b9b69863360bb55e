"""A numbered section: which of its seats are taken, until when, and which ones somebody gets. No I/O, clock or HTTP.

What is taken is counted, not set: who reads the log may hear of a seat's next owner before its last one is told to
have given it up. So the order in which different reservations are told changes nothing.
"""

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from copy import copy

import msgspec

from cludale.kernel.allocation import NumberedSeat
from cludale.kernel.refusals import Invalid
from cludale.services.concerts.events import SeatPlanChanged
from cludale.services.concerts.seating.layout import ACCESSIBLE, Flags, Layout
from cludale.services.concerts.seating.picking import Party, Picker


class SeatMap(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """The seats of a numbered section by their places, from 0 in the order of the plan."""

    plan: str
    """The digest of its seating plan."""
    zone: str
    """The part of the plan that is this section."""
    taken: bytes
    """A bit for each seat, the lowest first: sold, held, held until a time that has come, or blocked."""
    aside: bytes = b""
    """Wheelchair and companion places, packed: nobody gets one who didn't ask."""
    held: Mapping[int, bytes] = {}
    """Places, packed, by the second since 1970 until which they are held."""
    over: Mapping[int, int] = {}
    """How often more than once a seat is taken: by a hold that has ended and was not told of yet, and its successor."""
    blocked: Mapping[int, str] = {}
    """Places that nobody gets, and why."""
    order: str = ""
    """As in SeatPlanPart."""
    places: int = 0
    """How many places there ever were: `taken` has a bit for each. 0 while the plan was never changed: as many as there
    are seats."""
    gone: bytes = b""
    """Places, packed, of seats that are in the plan no more. They are taken, for good."""
    before: str = ""
    """The digest of the plan before this one."""


_IS_LITTLE = sys.byteorder == "little"


def packed(places: Iterable[int]) -> bytes:
    """Places as two bytes each, the lower one first."""
    those = array("H", places)
    if not _IS_LITTLE:
        those.byteswap()
    return those.tobytes()


def unpacked(places: bytes) -> list[int]:
    """The other way round."""
    those = array("H", places)
    if not _IS_LITTLE:
        those.byteswap()
    return those.tolist()


def _places(seats: Iterable[NumberedSeat]) -> list[int]:
    return [seat.at for seat in seats]


# -- what becomes of seats ----------------------------------------------------------------------------------------


def _take(seats: SeatMap, places: Iterable[int]) -> SeatMap:
    taken, over = _taken_with(seats, places)
    return msgspec.structs.replace(seats, taken=taken, over=over)


def _taken_with(seats: SeatMap, places: Iterable[int]) -> tuple[bytes, Mapping[int, int]]:
    """What is taken, and over, once these are taken, too."""
    taken, over = bytearray(seats.taken), seats.over
    for place in places:
        byte, bit = place >> 3, 1 << (place & 7)
        if taken[byte] & bit:
            over = {**over, place: over.get(place, 0) + 1}
        taken[byte] |= bit
    return bytes(taken), over


def _give(seats: SeatMap, places: Iterable[int]) -> SeatMap:
    taken, over = bytearray(seats.taken), seats.over
    for place in places:
        byte, bit = place >> 3, 1 << (place & 7)
        more = over.get(place, 0)
        if more:
            over = {each: count for each, count in over.items() if each != place}
            if more > 1:
                over[place] = more - 1
        elif taken[byte] & bit:
            taken[byte] ^= bit
        else:
            raise ValueError(f"seat {place} of {seats.zone} is given back, and nobody had it")
    return msgspec.structs.replace(seats, taken=bytes(taken), over=over)


def _hold(seats: SeatMap, places: Iterable[int], until: int) -> SeatMap:
    held = {**seats.held, until: seats.held.get(until, b"") + packed(places)}
    return msgspec.structs.replace(seats, held=held)


def _end_hold(seats: SeatMap, places: Sequence[int], until: int) -> SeatMap:
    """Most often a reservation's places stand one after the other, as they were put there.

    Where the log tells of a seat's next owner before its last one has given it up, what is taken out for one may be
    what was put in for two: then they are taken out one by one.
    """
    there, gone = seats.held.get(until, b""), packed(places)
    at = there.find(gone)
    while at > 0 and at % 2:
        at = there.find(gone, at + 1)
    if at >= 0:
        left = there[:at] + there[at + len(gone) :]
    else:
        those = unpacked(there)
        try:
            for place in places:
                those.remove(place)
        except ValueError:
            raise ValueError(f"seats {places} of {seats.zone} are not held until {until}") from None
        left = packed(those)
    held = dict(seats.held)
    if left:
        held[until] = left
    else:
        held.pop(until, None)
    return msgspec.structs.replace(seats, held=held)


def reserved(seats: SeatMap, those: Iterable[NumberedSeat], until: int) -> SeatMap:
    """These are held until that second."""
    places = _places(those)
    taken, over = _taken_with(seats, places)
    held = {**seats.held, until: seats.held.get(until, b"") + packed(places)}
    return msgspec.structs.replace(seats, taken=taken, over=over, held=held)


def sold(seats: SeatMap, those: Iterable[NumberedSeat], until: int) -> SeatMap:
    """These were held until that second, and are sold."""
    return _end_hold(seats, _places(those), until)


def released(seats: SeatMap, those: Iterable[NumberedSeat], until: int) -> SeatMap:
    """The map after these seats, which were held until that second, are given back."""
    places = _places(those)
    return _give(_end_hold(seats, places, until), places)


def given_back(seats: SeatMap, those: Iterable[NumberedSeat]) -> SeatMap:
    """These were sold, and are not any more."""
    return _give(seats, _places(those))


def moved(seats: SeatMap, had: Sequence[NumberedSeat], has: Sequence[NumberedSeat], until: int | None) -> SeatMap:
    """Who had those has these, ticket by ticket: held until that second; None: sold."""
    old, new = _places(had), _places(has)
    if until is not None:
        seats = _hold(_end_hold(seats, old, until), new, until)
    kept = {*old} & {*new}
    taken = _take(seats, (place for place in new if place not in kept))
    return _give(taken, (place for place in old if place not in kept))


def block(seats: SeatMap, those: Iterable[NumberedSeat], reason: str) -> SeatMap:
    """Nobody gets these."""
    places = _places(those)
    why = dict.fromkeys(places, reason)
    return msgspec.structs.replace(_take(seats, places), blocked={**seats.blocked, **why})


def replanned(seats: SeatMap, total: int, changed: SeatPlanChanged) -> SeatMap:
    """The plan is another one: no place becomes another seat's, new ones come after all that there were."""
    part, back, gone = changed.plan, unpacked(changed.back), unpacked(changed.gone)
    places = (seats.places or total) + changed.added
    grown = msgspec.structs.replace(
        seats,
        plan=part.digest,
        zone=part.zone,
        order=part.order,
        aside=part.aside,
        before=seats.plan,
        places=places,
        taken=seats.taken + bytes(((places + 7) >> 3) - len(seats.taken)),
    )
    left = sorted({*unpacked(seats.gone), *gone}.difference(back))
    return msgspec.structs.replace(_take(_give(grown, back), gone), gone=packed(left))


def unblock(seats: SeatMap, those: Iterable[NumberedSeat]) -> SeatMap:
    """These can be had again."""
    places = _places(those)
    left = {place: reason for place, reason in seats.blocked.items() if place not in places}
    return msgspec.structs.replace(_give(seats, places), blocked=left)


# -- what is free -------------------------------------------------------------------------------------------------


_BUT = tuple(0xFF ^ 1 << bit for bit in range(8))
"""By bit of a byte, all the others."""


def taken_at(seats: SeatMap, second: float) -> bytes:
    """A bit for each seat that can't be had at that second, the first seat's the lowest of the first byte.

    A seat is free again once as many holds of it have ended as it is taken: `over` once more than its bit says.
    """
    ended = [places for until, places in seats.held.items() if until <= second]
    if not ended:
        return seats.taken
    places, over = unpacked(b"".join(ended)), seats.over
    back = {*places}
    if over:
        is_often = len(back) < len(places)
        back.difference_update(over)
        if is_often:
            back.update([place for place in over if places.count(place) > over[place]])
    taken = bytearray(seats.taken)
    for place in back:
        taken[place >> 3] &= _BUT[place & 7]
    return bytes(taken)


def is_taken(taken: bytes, place: int) -> bool:
    """Has this place its bit, of those that `taken_at` gives?"""
    return bool(taken[place >> 3] >> (place & 7) & 1)


def free_bits(seats: SeatMap, total: int, second: float) -> int:
    """A bit for each seat that can be had at that second, the first seat's the lowest."""
    return ~int.from_bytes(taken_at(seats, second), "little") & ((1 << total) - 1)


def seats_told(seats: SeatMap) -> Mapping[str, object]:
    """What the log tells of it, whatever the order in which different reservations stand there."""
    held = {until: sorted(unpacked(places)) for until, places in seats.held.items()}
    told: dict[str, object] = {
        "taken": seats.taken,
        "held": held,
        "over": dict(seats.over),
        "blocked": dict(seats.blocked),
    }
    if seats.places:
        told |= {"plan": (seats.plan, seats.zone, seats.order), "places": seats.places, "gone": seats.gone}
    return told


def free_to_all(seats: SeatMap, total: int, second: float) -> int:
    """How many seats somebody can have at that second who asks for no wheelchair place."""
    taken = taken_at(seats, second)
    aside = sum(not is_taken(taken, place) for place in unpacked(seats.aside))
    return total - int.from_bytes(taken, "little").bit_count() - aside


def set_aside(seats: SeatMap) -> int:
    """How many places there are that nobody gets who didn't ask."""
    return len(unpacked(seats.aside))


def set_bits(bits: int) -> list[int]:
    """Which bits are set, the lowest first."""
    return [
        at << 3 | bit
        for at, byte in enumerate(bits.to_bytes((bits.bit_length() + 7) >> 3, "little"))
        if byte
        for bit in range(8)
        if byte >> bit & 1
    ]


class Hall:
    """The seats of a section's plan, and where the next party goes.

    It remembers what was taken when it was asked last, and is brought up to date by what differs. What it answers
    follows from what is taken alone. So each section has one of its own, though others are in the same hall. `order`:
    the ids of all seats that there ever were, by their places; none: those of the layout, in its order.
    """

    def __init__(self, layout: Layout, order: Sequence[str] = ()) -> None:
        self.layout = layout
        self.order = order or layout.ids
        """The ids of all seats that there ever were, by their places."""
        self._indexes = [-1 if (index := layout.index_of(id)) is None else index for id in order]
        self._places: list[int] = [0] * len(layout) if order else []
        for place, index in enumerate(self._indexes):
            if index >= 0:
                self._places[index] = place
        self._empty: Picker | None = None
        self._begin()

    def _begin(self) -> None:
        self._picker: Picker | None = None
        self._taken = b""
        self._bits = 0
        """Those of `_taken`."""

    def prepare(self) -> Picker:
        """Compute now what the first buyer would have to wait for; the picker is not to be changed."""
        if self._empty is None:
            self._empty = Picker(self.layout)
            self._empty.settle()
        return self._empty

    def apart(self) -> "Hall":
        """One for a section: it shares what never changes."""
        self.prepare()
        hall = copy(self)
        hall._begin()  # noqa: SLF001 - its own
        return hall

    @property
    def total(self) -> int:
        """How many seats there are."""
        return len(self.layout)

    def picker(self, taken: bytes) -> Picker:
        """Where these bits are taken, and no others. Not to be kept: who asks next changes it."""
        picker = self._picker
        if picker is None:
            picker = self._picker = self.prepare().copy()
        if taken is not self._taken:
            before, self._taken, self._bits = self._bits, taken, int.from_bytes(taken, "little")
            self._toggle(picker, before ^ self._bits)
        return picker

    def _toggle(self, picker: Picker, places: int) -> None:
        if not self._indexes:
            picker.toggle(0, places)
            return
        for place in set_bits(places):
            index = self._indexes[place]
            if index >= 0:
                picker.toggle(index, 1)

    def best(self, taken: bytes, party: Party) -> tuple[int, ...]:
        """The best that are free, in the order of the plan. Raises NotEnoughSeats."""
        seats = self.picker(taken).best(party).seats
        return tuple([self._places[index] for index in seats]) if self._places else seats

    def left(self, taken: bytes) -> int:
        """How many are free then, wheelchair places among them."""
        self.picker(taken)
        return len(self.order) - self._bits.bit_count()

    def place(self, index: int) -> int:
        """The place of a seat of the layout."""
        return self._places[index] if self._places else index

    def index(self, place: int) -> int | None:
        """The seat in the layout at this place; None: it is in the plan no more."""
        if not self._indexes:
            return place
        return None if self._indexes[place] < 0 else self._indexes[place]

    def seat(self, place: int) -> NumberedSeat:
        """The seat at this place, as it is handed on. Raises LookupError for one that is in the plan no more."""
        index = self.index(place)
        if index is None:
            raise LookupError(place)
        return self._seat(index)

    def _seat(self, index: int) -> NumberedSeat:
        layout = self.layout
        row = layout.rows[layout.row_of[index]].label
        return NumberedSeat(layout.ids[index], row, layout.numbers[index], self.place(index), layout.flags[index])

    def seats(self, places: Iterable[int]) -> tuple[NumberedSeat, ...]:
        """Those at these places."""
        if self._indexes:
            return tuple([self.seat(place) for place in places])
        ids, numbers, flags = self.layout.ids, self.layout.numbers, self.layout.flags
        rows, row_of = self.layout.rows, self.layout.row_of
        return tuple([NumberedSeat(ids[at], rows[row_of[at]].label, numbers[at], at, flags[at]) for at in places])

    def aside(self) -> bytes:
        """Its wheelchair and companion places, packed."""
        return packed(self.place(index) for index, flags in enumerate(self.layout.flags) if flags & ACCESSIBLE)

    def in_plan_order(self, free: int) -> int:
        """The same bits, in the order of the plan instead of that of the places."""
        if not self._places:
            return free
        return _gathered(free, self._places, len(self.order))

    def places(self, ids: Sequence[str], *, field: str = "seats") -> list[int]:
        """Where the seats of these ids are. Raises Invalid, which names those that are not there or are there twice."""
        wrong: list[tuple[str, str]] = []
        places: list[int] = []
        for i, id in enumerate(ids):
            index = self.layout.index_of(id)
            if index is None:
                wrong.append((f"{field}[{i}]", "the section has no such seat"))
            elif (place := self.place(index)) in places:
                wrong.append((f"{field}[{i}]", f"{id!r} is there already"))
            else:
                places.append(place)
        if wrong:
            raise Invalid(*wrong)
        return places


def as_shown(ids: Sequence[str], hall: Hall, free: int) -> int:
    """Which of these seats are free, the first one's bit the lowest; those that the hall has not, are not."""
    indexes = [hall.layout.index_of(id) for id in ids]
    places = [-1 if index is None else hall.place(index) for index in indexes]
    return _gathered(free, places, len(hall.order))


def _gathered(free: int, places: Sequence[int], count: int) -> int:
    """The bits of these places (-1: none) side by side, the first the lowest; `count`: of all bits."""
    bits = bin(free | 1 << count)[:2:-1]  # a text is looked into faster than so long a number
    said = ["0" if place < 0 else bits[place] for place in reversed(places)]
    return int("".join(said) or "0", 2)


class NotFree(Exception):
    """Seats that were named are not free; their ids."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(", ".join(ids))
        self.ids = ids


def named(hall: Hall, taken: bytes, ids: Sequence[str], wheelchairs: int = 0) -> tuple[NumberedSeat, ...]:
    """The seats of these ids, in their order in the plan. Raises Invalid, NotFree."""
    places = hall.places(ids)
    if gone := [id for id, place in zip(ids, places, strict=True) if is_taken(taken, place)]:
        raise NotFree(gone)
    seats = hall.seats(places)
    if not wheelchairs:
        message = "is for who needs a wheelchair place: say so with `wheelchairs`"
        apart = [(f"seats[{i}]", message) for i, seat in enumerate(seats) if seat.flags & ACCESSIBLE]
        if apart:
            raise Invalid(*apart)
    return tuple(sorted(seats, key=lambda seat: hall.index(seat.at) or 0))


def best(hall: Hall, taken: bytes, quantity: int, wheelchairs: int = 0) -> tuple[NumberedSeat, ...]:
    """The best that are free. Raises NotEnoughSeats."""
    return hall.seats(hall.best(taken, Party(quantity, None, wheelchairs)))


def same_or_best(hall: Hall, taken: bytes, had: Sequence[NumberedSeat]) -> tuple[NumberedSeat, ...]:
    """Those that somebody had, if all are free; else as many of the best. Raises NotEnoughSeats."""
    if not any(is_taken(taken, seat.at) for seat in had):
        return hall.seats(seat.at for seat in had)
    wheelchairs = sum(bool(seat.flags & Flags.WHEELCHAIR) for seat in had)
    return best(hall, taken, len(had), wheelchairs)
