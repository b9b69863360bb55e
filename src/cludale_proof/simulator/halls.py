"""Numbered seats in a run: small halls for its sections, buyers who name seats, and a witness of each choice.

The witness tries every place for a party, and shares no code with the picker that it watches.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from cludale.kernel.allocation import NumberedSeat
from cludale.services.concerts import numbered
from cludale.services.concerts.numbered import Hall
from cludale.services.concerts.scheduling import ScheduleConcert, SectionRequest
from cludale_proof.simulator.people import Plan

_ACCESSIBLE = 1 | 2
_HIDDEN = 4
_TOGETHER = 20
"""The largest party for which the best place is looked for."""


def with_halls(
    choices: random.Random, concerts: Sequence[ScheduleConcert], plans: Sequence[Plan]
) -> tuple[list[ScheduleConcert], list[Plan], list[tuple[str, str]]]:
    """Most sections have numbered seats, as many as they had without; some buyers name theirs. Returns the seats, too:
    the concert and the id of each."""
    seats: dict[tuple[str, str], list[str]] = {}
    halls = [_with_hall(choices, concert, seats) for concert in concerts]
    told = [_naming(choices, plan, seats) for plan in plans]
    return halls, told, [(concert, id) for (concert, _), ids in seats.items() for id in ids]


def _with_hall(
    choices: random.Random, concert: ScheduleConcert, seats: dict[tuple[str, str], list[str]]
) -> ScheduleConcert:
    lines, sections = ["section,row,seat,x,y,category,flags"], list[SectionRequest]()
    for number, section in enumerate(concert.sections or ()):
        total = section.total_seats or 0
        if not total or (number and choices.random() < 0.3):
            sections.append(section)
            continue
        width, aside = choices.choice((4, 5, 7)), choices.choice((0, 0, 1, 2))
        for at in range(total):
            flag = "wheelchair" if total - at <= aside and total > 2 * aside else ""
            row, seat = at // width, at % width + 1
            lines.append(f"{section.id},{row},{seat},{seat * 10},{number * 500 + row * 12 + 50},A,{flag}")
            seats.setdefault((concert.id or "", section.id), []).append(f"{section.id}-{row}-{seat}")
        sections.append(replace(section, zone=section.id))
    if len(lines) == 1:
        return concert
    return replace(concert, sections=sections, seat_plan="\n".join(lines))


def _naming(choices: random.Random, plan: Plan, seats: dict[tuple[str, str], list[str]]) -> Plan:
    wanted = plan.wanted
    own = [section for concert, section in seats if concert == wanted.concert_id]
    if not own or choices.random() < 0.5:
        return plan
    section = choices.choice(own)
    known, quantity = seats[wanted.concert_id, section], wanted.quantity or 1
    if len(known) < quantity or (wanted.section is not None and wanted.section != section):
        return plan
    first = choices.randrange(len(known) - quantity + 1)
    named = known[first : first + quantity] if choices.random() < 0.7 else choices.sample(known, quantity)
    asks: dict[str, Any] = {"seats": named, "section": choices.choice((None, section))}
    if choices.random() < 0.2:
        asks = {"wheelchairs": 1, "section": section}
    sold = None if plan.sold is None else replace(plan.sold, **asks)
    return plan._replace(wanted=replace(wanted, **asks), sold=sold)


def other_plans(choices: random.Random, concerts: Sequence[ScheduleConcert]) -> list[tuple[str, str]]:
    """Plans that the organizer wants instead, and of which concert: without some seats, with some more."""
    found: list[tuple[str, str]] = []
    for concert in concerts:
        if not isinstance(concert.seat_plan, str):
            continue
        header, *lines = concert.seat_plan.splitlines()
        for _ in range(choices.choice((1, 2, 3))):
            left = list(lines)
            for _ in range(choices.choice((0, 1, 1, 2))):
                zone = choices.choice(left).partition(",")[0]
                if sum(line.startswith(f"{zone},") for line in left) > 1:
                    left.remove(choices.choice([line for line in left if line.startswith(f"{zone},")]))
            zone = choices.choice(left).partition(",")[0]
            more = [f"{zone},Z,{seat},{seat * 10},5,A," for seat in range(1, choices.choice((1, 2, 3)))]
            found.append((concert.id or "", "\n".join([header, *left, *more])))
    return found


@contextmanager
def looked_at(found: Callable[[str], None]) -> Iterator[None]:
    """Each choice of the best seats is judged; `found` is told what is wrong with it."""
    right = numbered.best

    def best(hall: Hall, taken: bytes, quantity: int, wheelchairs: int = 0) -> tuple[NumberedSeat, ...]:
        seats = right(hall, taken, quantity, wheelchairs)
        free = ~int.from_bytes(taken, "little")
        for wrong in _judged(hall, free, quantity, wheelchairs, [seat.at for seat in seats]):
            found(f"{quantity} seats, {wheelchairs} for wheelchairs, got {[str(seat) for seat in seats]}: {wrong}")
        return seats

    numbered.best = best
    try:
        yield
    finally:
        numbered.best = right


def _judged(hall: Hall, free: int, quantity: int, wheelchairs: int, places_got: Sequence[int]) -> Iterator[str]:
    # Places are where a seat's bit is; here all is told by where it stands in the plan.
    free = sum(1 << index for index in range(len(hall.layout)) if free >> hall.place(index) & 1)
    got = [-1 if (index := hall.index(place)) is None else index for place in places_got]
    flags = hall.layout.flags
    if len(set(got)) != quantity or any(place < 0 or not free >> place & 1 for place in got):
        yield "they are not so many, or not free"
    if not wheelchairs and any(flags[place] & _ACCESSIBLE for place in got):
        yield "nobody asked for wheelchair places"
    if wheelchairs or quantity > _TOGETHER:
        return
    places = list(_places(hall, free, quantity))
    if not places:
        return
    least, key = min(places)[0], {tuple(seats): orphans for orphans, _, seats in places}
    orphans = key.get(tuple(sorted(got)))
    if orphans is None:
        yield "they are apart, and there were places together"
    elif orphans[0] > least[0]:
        yield f"they leave {orphans[0]} seats alone, and a place was free that leaves {least[0]}"
    elif orphans > least:
        yield "there was a nearer place"


def _places(hall: Hall, free: int, size: int) -> Iterator[tuple[tuple[int, int], int, list[int]]]:
    """Every place for a party: how many seats it leaves alone and how far it is, and which seats it is."""
    for run in _runs(hall, free):
        for start in range(len(run) - size + 1):
            left, right = start, len(run) - size - start
            seats = run[start : start + size]
            yield ((left == 1) + (right == 1), sum(_far(hall, seat) for seat in seats)), start, seats


def _runs(hall: Hall, free: int) -> Iterator[list[int]]:
    layout, run = hall.layout, list[int]()
    for place in range(len(layout)):
        goes_on = bool(run) and run[-1] == place - 1 and _are_neighbours(hall, place - 1, place)
        is_open = bool(free >> place & 1) and not layout.flags[place] & _ACCESSIBLE
        if run and not (goes_on and is_open):
            yield run
            run = []
        if is_open:
            run = [*run, place]
    if run:
        yield run


def _are_neighbours(hall: Hall, one: int, other: int) -> bool:
    layout = hall.layout
    is_row = layout.row_of[one] == layout.row_of[other] and layout.category[one] == layout.category[other]
    return is_row and layout.place(other)[1] - layout.place(one)[1] == 1


def _far(hall: Hall, place: int) -> int:
    return hall.layout.distance(place) + (10**9 if hall.layout.flags[place] & _HIDDEN else 0)
