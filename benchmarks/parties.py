"""Parties by the hundred thousand who are given the best seats as orders are, each judged by code that shares none.

Nobody may get a seat that somebody has. No seat may be left alone where the party could sit together without, nobody
sit apart who could sit together, and no wheelchair or companion seat go to a party that did not ask.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from cludale.kernel.allocation import NumberedSeat
from cludale.kernel.money import Money
from cludale.ports.seats import SeatsUnavailable
from cludale.services.concerts.domain import Cancel, Hold, decide
from cludale.services.concerts.events import ReleaseReason, SeatPlanPart, SectionPlan
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.numbered import Hall
from cludale.services.concerts.seating.ground import MAX_PARTY
from cludale.services.concerts.seating.layout import ACCESSIBLE, Layout
from cludale.services.concerts.stock import Reservation, untouched

GIVE_UP = 20
"""A hall is sold out once so many parties in a row could not be seated."""


class Judge:
    """What is free, by code of its own, and what a pick did."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.special = [bool(flags & ACCESSIBLE) for flags in layout.flags]
        self.free = [not special for special in self.special]
        self.taken = [False] * len(layout)
        x, row = layout.x, layout.row_of
        self.next = [
            number + 1 < len(layout) and row[number] == row[number + 1] and x[number + 1] - x[number] < 30
            for number in range(len(layout))
        ]

    def runs(self) -> Iterator[tuple[int, int]]:
        """The free ordinary seats that are neighbours: the first, and how many."""
        first = -1
        for seat, free in enumerate(self.free):
            if free and first < 0:
                first = seat
            if first >= 0 and not (free and self.next[seat] and self.free[seat + 1]):
                yield first, seat - first + 1
                first = -1

    def leaves_alone(self, first: int, size: int) -> bool:
        """Whether adjacent seats leave one beside them alone."""
        before = self._free_before(first) and not self._free_before(first - 1)
        last = first + size - 1
        return before or (self._free_after(last) and not self._free_after(last + 1))

    def are_together(self, seats: Sequence[int]) -> bool:
        """Whether these, rising, are neighbours."""
        return all(b == a + 1 and self.next[a] for a, b in pairwise(seats))

    def avoidable(self, size: int) -> bool:
        """Whether so many could sit together and leave no seat alone."""
        return any(length == size or length >= size + 2 for _, length in self.runs())

    def have_room(self, size: int) -> bool:
        """Whether so many could sit together."""
        return any(length >= size for _, length in self.runs())

    def change(self, seats: Sequence[int], *, taken: bool) -> None:
        """These are taken, or given back."""
        for seat in seats:
            self.taken[seat] = taken
            self.free[seat] = not taken and not self.special[seat]

    def _free_before(self, seat: int) -> bool:
        return seat > 0 and self.next[seat - 1] and self.free[seat - 1]

    def _free_after(self, seat: int) -> bool:
        return self.next[seat] and self.free[seat + 1]


@dataclass
class Tally:
    """What came of so many parties."""

    parties: int = 0
    halls: int = 0
    back: int = 0
    """That gave their seats back."""
    together: int = 0
    apart: int = 0
    alone: int = 0
    """That sat together, with a seat beside them left alone."""
    doubles: int = 0
    avoidable: int = 0
    torn: int = 0
    """That sat apart, and could have sat together."""
    unasked: int = 0

    def judge(self, judge: Judge, seats: Sequence[NumberedSeat], size: int, *, asked: bool) -> None:
        """A party of this size is to get these seats; `asked`: one of them for a wheelchair."""
        places = [seat.at for seat in seats]
        self.parties += 1
        self.doubles += len(set(places)) != size or any(judge.taken[place] for place in places)
        together = judge.are_together(places)
        self.together += together
        self.apart += not together
        if asked:
            return
        self.unasked += any(judge.special[place] for place in places)
        if together:
            alone = judge.leaves_alone(places[0], size)
            self.alone += alone
            self.avoidable += alone and judge.avoidable(size)
        else:
            self.torn += size <= MAX_PARTY and judge.have_room(size)


def judged(count: int, layout: Layout, sizes: Iterator[int]) -> Tally:
    """So many parties, in one hall after the other; one in ten times a party gives its seats back."""
    tally, chance, now = Tally(), random.Random(7), datetime(2027, 1, 1, tzinfo=UTC)
    where = Hall(layout)
    part = SeatPlanPart(digest="", zone="", aside=where.aside())
    plan = SectionPlan(id="s", name="s", total_seats=len(layout), price=Money(1, "EUR"), plan=part)
    while tally.parties < count:
        tally.halls += 1
        section, hall, judge, have = untouched("c", plan), where.apart(), Judge(layout), list[Reservation]()
        refused = 0
        while refused < GIVE_UP and tally.parties < count:
            now += timedelta(milliseconds=1)
            size, asked = next(sizes), int(chance.random() < 0.005)
            if have and chance.random() < 0.1:
                back = have.pop(chance.randrange(len(have)))
                cancel = Cancel(back.id, ReleaseReason.CANCELLED, on_purpose=True)
                section = decide(Seating(section, {back.id: back}, hall), cancel, now).state.section
                judge.change([seat.at for seat in back.kept_seats], taken=False)
                tally.back += 1
            wanted = Hold(f"r-{tally.parties}", None, size, 86_400.0, wheelchairs=asked)
            try:
                after = decide(Seating(section, {}, hall), wanted, now).state
            except SeatsUnavailable:
                refused += 1
                continue
            refused, section, reservation = 0, after.section, after.reservations[wanted.reservation_id]
            tally.judge(judge, reservation.kept_seats, size, asked=bool(asked))
            judge.change([seat.at for seat in reservation.kept_seats], taken=True)
            have.append(reservation)
    return tally
