"""A numbered section: which of its seats are taken, until when, and which ones somebody gets. No I/O, clock or HTTP.

What is taken is counted, not set: who reads the log may hear of a seat's next owner before its last one is told to
have given it up. So the order in which different reservations are told changes nothing.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from cludale.kernel.allocation import NumberedSeat
from cludale.kernel.refusals import Invalid
from cludale.services.concerts.events import SeatPlanChanged
from cludale.services.concerts.seating.layout import ACCESSIBLE, Flags, Layout
from cludale.services.concerts.seating.picking import Party, Picker, SeatsRefused


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
    """How many places there ever were, which is what `taken` has bits for; 0, as long as the plan was never changed: as
    many as there are seats."""
    gone: bytes = b""
    """Places, packed, of seats that are in the plan no more. They are taken, for good."""
    before: str = ""
    """The digest of the plan before this one."""


def packed(places: Iterable[int]) -> bytes:
    """Places as two bytes each, the lower one first."""
    return b"".join(place.to_bytes(2, "little") for place in places)


def unpacked(places: bytes) -> Sequence[int]:
    """The other way round."""
    return [place | upper << 8 for place, upper in zip(places[::2], places[1::2], strict=True)]


def _places(seats: Iterable[NumberedSeat]) -> list[int]:
    return [seat.at for seat in seats]


# -- what becomes of seats ----------------------------------------------------------------------------------------


def _take(seats: SeatMap, places: Iterable[int]) -> SeatMap:
    taken, over = bytearray(seats.taken), seats.over
    for place in places:
        byte, bit = place >> 3, 1 << (place & 7)
        if taken[byte] & bit:
            over = {**over, place: over.get(place, 0) + 1}
        taken[byte] |= bit
    return msgspec.structs.replace(seats, taken=bytes(taken), over=over)


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
    """A reservation's places stand one after the other, as they were put there."""
    there, gone = seats.held.get(until, b""), packed(places)
    at = there.find(gone)
    while at > 0 and at % 2:
        at = there.find(gone, at + 1)
    if at < 0:
        raise ValueError(f"seats {places} of {seats.zone} are not held until {until}")
    left = there[:at] + there[at + len(gone) :]
    held = {each: known for each, known in seats.held.items() if each != until}
    if left:
        held[until] = left
    return msgspec.structs.replace(seats, held=held)


def reserved(seats: SeatMap, those: Iterable[NumberedSeat], until: int) -> SeatMap:
    """These are held until that second."""
    places = _places(those)
    return _hold(_take(seats, places), places, until)


def sold(seats: SeatMap, those: Iterable[NumberedSeat], until: int) -> SeatMap:
    """These were held until that second, and are sold."""
    return _end_hold(seats, _places(those), until)


def released(seats: SeatMap, those: Iterable[NumberedSeat], until: int) -> SeatMap:
    """These were held until that second, and are not any more."""
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


def free_bits(seats: SeatMap, total: int, second: float) -> int:
    """A bit for each seat that can be had at that second, the first seat's the lowest."""
    ended: list[bytes] = []
    if seats.held and min(seats.held) <= second:
        ended = [held for until, held in seats.held.items() if until <= second]
    if not ended:
        return ~int.from_bytes(seats.taken, "little") & ((1 << total) - 1)
    taken = bytearray(seats.taken)
    if not seats.over:
        for held in ended:
            for place in array("H", held) if _IS_LITTLE else unpacked(held):
                taken[place >> 3] &= ~(1 << (place & 7))
    else:
        for place, times in Counter(place for held in ended for place in unpacked(held)).items():
            if times > seats.over.get(place, 0):
                taken[place >> 3] &= ~(1 << (place & 7))
    return ~int.from_bytes(taken, "little") & ((1 << total) - 1)


_IS_LITTLE = array("H", b"\1\0")[0] == 1


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


def aside_bits(seats: SeatMap) -> int:
    """A bit for each wheelchair and companion place."""
    bits = 0
    for place in unpacked(seats.aside):
        bits |= 1 << place
    return bits


def free_to_all(seats: SeatMap, total: int, second: float) -> int:
    """How many seats somebody can have at that second who asks for no wheelchair place."""
    free = free_bits(seats, total, second)
    return (free & ~aside_bits(seats)).bit_count() if seats.aside else free.bit_count()


def set_bits(bits: int) -> list[int]:
    """Which bits are set, the lowest first."""
    found: list[int] = []
    if bits.bit_count() <= _FEW:
        while bits:
            lowest = bits & -bits
            found.append(lowest.bit_length() - 1)
            bits ^= lowest
        return found
    for at, byte in enumerate(bits.to_bytes((bits.bit_length() + 7) >> 3, "little")):
        if byte:
            found += [at << 3 | bit for bit in range(8) if byte >> bit & 1]
    return found


_FEW = 64


class Hall:
    """The seats of a section's plan, and where the next party goes.

    It remembers what was free when it was asked last, and is brought up to date by what differs. What it answers
    follows from what is free alone. `order`: the ids of all seats that there ever were, by their places; none: those of
    the layout, in its order.
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
        self._picker: Picker | None = None
        self._free = 0

    @property
    def total(self) -> int:
        """How many seats there are."""
        return len(self.layout)

    def picker(self, free: int) -> Picker:
        """Where these are free. Not to be kept: who asks next changes it."""
        differ = free ^ self._free
        if self._picker is None or differ.bit_count() * 4 > self.total:
            self._picker = Picker(self.layout, self._rows(free))
        elif differ:
            if gone := self._at(set_bits(differ & ~free)):
                self._picker.take(gone)
            if back := self._at(set_bits(differ & free)):
                self._picker.give_back(back)
        self._free = free
        return self._picker

    def _rows(self, free: int) -> list[int]:
        rows = [0] * len(self.layout.rows)
        for index in self._at(set_bits(free)):
            row, bit = self.layout.place(index)
            rows[row] |= 1 << bit
        return rows

    def _at(self, places: list[int]) -> list[int]:
        """The seats in the layout at these places."""
        return [self._indexes[place] for place in places] if self._indexes else places

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
        return tuple(self.seat(place) for place in places)

    def picked(self, indexes: Iterable[int]) -> tuple[NumberedSeat, ...]:
        """Those of the layout that the picker has chosen."""
        return tuple(self._seat(index) for index in indexes)

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


def named(hall: Hall, free: int, ids: Sequence[str], wheelchairs: int = 0) -> tuple[NumberedSeat, ...]:
    """The seats of these ids, in their order in the plan. Raises Invalid, NotFree."""
    hall.places(ids)
    try:
        return hall.picked(hall.picker(free).named(ids, wheelchairs=wheelchairs).seats)
    except SeatsRefused as refused:
        if refused.taken:
            raise NotFree(refused.taken) from None
        message = "is for who needs a wheelchair place: say so with `wheelchairs`"
        apart = [(f"seats[{i}]", message) for i, id in enumerate(ids) if id in refused.accessible]
        raise Invalid(*apart) from None


def best(hall: Hall, free: int, quantity: int, wheelchairs: int = 0) -> tuple[NumberedSeat, ...]:
    """The best that are free. Raises NotEnoughSeats."""
    return hall.picked(hall.picker(free).best(Party(quantity, None, wheelchairs)).seats)


def same_or_best(hall: Hall, free: int, had: Sequence[NumberedSeat]) -> tuple[NumberedSeat, ...]:
    """Those that somebody had, if all are free; else as many of the best. Raises NotEnoughSeats."""
    if all(free >> seat.at & 1 for seat in had):
        return hall.seats(seat.at for seat in had)
    wheelchairs = sum(bool(seat.flags & Flags.WHEELCHAIR) for seat in had)
    return best(hall, free, len(had), wheelchairs)
