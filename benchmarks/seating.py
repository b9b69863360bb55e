"""`python -m benchmarks.seating`: numbered seats: how fast they are picked, how many are sold, and is the rule kept.

`speed` sells out 20,000 seats, `holds` decides the holds of a section of as many by quantity and with numbers,
`parties` places a million parties and judges each by code of its own, `fill` sells halls to parties that don't let
themselves be split, beside a first-fit and a nearest-only picker.

Party sizes: of 255 venues' sales in 2023/24, 37 % of the tickets were sold in pairs, 16 % in more than twelve at once
(https://evidence.audienceanswers.org/en/evidence/articles/changes-party-sizes). Nothing more exact is published; how
the other 47 % are spread is assumed (TICKETS), as is that no party is larger than 20.
"""

import argparse
import gc
import random
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from time import thread_time_ns

from msgspec import UNSET, UnsetType

from cludale.kernel.money import Money
from cludale.services.concerts.domain import Hold, Seating, decide
from cludale.services.concerts.events import SeatPlanPart, SectionPlan
from cludale.services.concerts.numbered import Hall
from cludale.services.concerts.seating.layout import ACCESSIBLE, Flags, Layout, Seat
from cludale.services.concerts.seating.picking import NotEnoughSeats, Party, Picker, Step
from cludale.services.concerts.stock import untouched
from cludale.services.concerts.store import SECTIONS

TICKETS = {1: 8.0, 2: 37.0, 3: 9.0, 4: 16.0, 5: 4.0, 6: 4.0} | dict.fromkeys(range(7, 13), 1.0)
TICKETS |= dict.fromkeys(range(13, 21), 2.0)
"""What share of a hundred tickets parties of each size buy."""

GIVE_UP = 20
"""A hall is sold out once so many parties in a row could not sit together."""


def hall(rows: int, width: int, *, accessible: bool = False) -> Layout:
    """Rows of seats with an aisle in the middle; if asked, each tenth begins with two wheelchairs and companions."""
    made = []
    for row in range(rows):
        seats = []
        for place in range(width):
            flags = Flags.NONE
            if accessible and row % 10 == 9 and place < 4:
                flags = Flags.COMPANION if place % 2 else Flags.WHEELCHAIR
            x = place * 20.0 + (40 if place >= width // 2 else 0)
            id = f"{row:08x}-{place:04x}-4000-8000-{row * width + place:012x}"  # as long as the UUIDs of real plans
            seats.append(Seat(id, str(place + 1), x, row * 25.0, "A", flags))
        made.append((str(row + 1), seats))
    return Layout(made, focus=(width * 10.0, -100.0))


def sizes(seed: int) -> Iterator[int]:
    """Parties, by the shares of the tickets that they buy."""
    chance = random.Random(seed)
    of, weights = list(TICKETS), [share / size for size, share in TICKETS.items()]
    while True:
        yield from chance.choices(of, weights, k=1000)


def speed(rounds: int) -> None:
    """A whole sell-out of 20,000 seats, every decision timed in CPU; the same parties in every round."""
    tracemalloc.start()
    picker = Picker(hall(400, 50))
    gc.collect()
    print(f"memory of 20,000 seats with the picker's index: {tracemalloc.get_traced_memory()[0] / 1e6:.1f} MB")
    tracemalloc.stop()
    took: list[list[int]] = []
    steps: dict[Step, int] = {}
    for _ in range(rounds):
        picker, each, steps = Picker(picker.layout), [], {}
        for size in sizes(1):
            began = thread_time_ns()
            try:
                pick = picker.best(Party(size))
            except NotEnoughSeats:
                if not any(picker.free):
                    break
                continue
            picker.take(pick.seats)
            each.append(thread_time_ns() - began)
            steps[pick.step] = steps.get(pick.step, 0) + 1
        took.append(each)
    print(f"{len(took[0])} parties until no seat is left: {', '.join(f'{n} {step}' for step, n in steps.items())}")
    for number, each in enumerate(took, 1):
        _say(f"round {number}", each)
    _say("each decision's least of the rounds", [min(times) for times in zip(*took, strict=True)])


def holds(rounds: int) -> None:
    """The decisions of holds in a section of 20,000, by quantity and with numbers, until it is full."""
    layout = hall(400, 50)
    kinds: dict[str, tuple[Hall | None, SeatPlanPart | UnsetType]] = {
        "by quantity": (None, UNSET),
        "numbered": (Hall(layout), SeatPlanPart(digest="", zone="")),
    }
    for number in range(1, rounds + 1):
        for what, (seats, part) in kinds.items():
            section = untouched(
                "c", SectionPlan(id="s", name="s", total_seats=len(layout), price=Money(1, "EUR"), plan=part)
            )
            now, took = datetime(2027, 1, 1, tzinfo=UTC), list[int]()
            for size in sizes(1):
                if section.available(now) < size:
                    break
                now += timedelta(milliseconds=20)
                wanted = Hold(f"reservation-{len(took)}", None, size, 600.0)
                began = thread_time_ns()
                section = decide(Seating(section, {}, seats), wanted, now).state.section
                took.append(thread_time_ns() - began)
            _say(f"round {number}, {what}", took)
            print(f"  record: {len(SECTIONS.put(section, 0).body)} bytes, all of it held")


def _say(what: str, took: list[int]) -> None:
    took = sorted(took)
    at = [took[min(len(took) - 1, int(len(took) * part))] / 1000 for part in (0.5, 0.99, 0.999, 1)]
    print(f"{what}: p50 {at[0]:.0f}, p99 {at[1]:.0f}, p99.9 {at[2]:.0f}, most {at[3]:.0f} µs of CPU")


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

    def avoidable(self, size: int) -> bool:
        """Whether so many could sit together and leave no seat alone."""
        return any(length == size or length >= size + 2 for _, length in self.runs())

    def change(self, seats: tuple[int, ...], *, taken: bool) -> None:
        """These are taken, or given back."""
        for seat in seats:
            self.taken[seat] = taken
            self.free[seat] = not taken and not self.special[seat]

    def _free_before(self, seat: int) -> bool:
        return seat > 0 and self.next[seat - 1] and self.free[seat - 1]

    def _free_after(self, seat: int) -> bool:
        return self.next[seat] and self.free[seat + 1]


def parties(count: int) -> None:
    """So many parties in halls of 1,000 seats, one in ten of which gives its seats back: each pick is judged."""
    layout, chance = hall(25, 40, accessible=True), random.Random(7)
    placed = doubles = avoidable = unasked = alone = halls = 0
    steps: dict[Step, int] = {}
    wanted = sizes(7)
    while placed < count:
        picker, judge, sold = Picker(layout), Judge(layout), list[tuple[int, ...]]()
        halls += 1
        refused = 0
        while refused < GIVE_UP and placed < count:
            size, asked = next(wanted), int(chance.random() < 0.005)
            if sold and chance.random() < 0.1:
                back = sold.pop(chance.randrange(len(sold)))
                picker.give_back(back)
                judge.change(back, taken=False)
            try:
                pick = picker.best(Party(size, wheelchairs=asked))
            except NotEnoughSeats:
                refused += 1
                continue
            refused, placed = 0, placed + 1
            steps[pick.step] = steps.get(pick.step, 0) + 1
            doubles += len(set(pick.seats)) != size or any(judge.taken[seat] for seat in pick.seats)
            unasked += not asked and any(judge.special[seat] for seat in pick.seats)
            if not asked and pick.step in {Step.TOGETHER, Step.ORPHAN}:
                left = judge.leaves_alone(pick.seats[0], size)
                alone += left
                avoidable += left and judge.avoidable(size)
            elif not asked:  # none may be split that could sit together
                avoidable += judge.avoidable(size)
            picker.take(pick.seats)
            judge.change(pick.seats, taken=True)
            sold.append(pick.seats)
    print(f"{placed} parties in {halls} halls: {', '.join(f'{n} {step}' for step, n in steps.items())}")
    print(f"{doubles} doubles, {avoidable} avoidable orphans of {alone}, {unasked} accessible seats to who did not ask")


def ours(picker: Picker, _: Judge, size: int) -> int | None:
    """The first seat that the product's picker gives, if all are together."""
    try:
        pick = picker.best(Party(size))
    except NotEnoughSeats:
        return None
    return pick.seats[0] if pick.step in {Step.TOGETHER, Step.ORPHAN} else None


def first_fit(_: Picker, judge: Judge, size: int) -> int | None:
    """The first place from the first row on."""
    return next((first for first, length in judge.runs() if length >= size), None)


def nearest(picker: Picker, judge: Judge, size: int) -> int | None:
    """The nearest place, whatever it leaves alone."""
    layout = picker.layout
    places = [first + n for first, length in judge.runs() for n in range(length - size + 1)]
    return min(places, key=lambda at: sum(map(layout.distance, range(at, at + size))), default=None)


def fill(halls: int, *, rows: int = 25, width: int = 40) -> None:
    """How full halls are when the first party finds no place together, and when GIVE_UP in a row find none."""
    pickers: dict[str, Callable[[Picker, Judge, int], int | None]] = {
        "this picker": ours,
        "first fit": first_fit,
        "nearest only": nearest,
    }
    for name, choose in pickers.items():
        first, last = [], []
        for number in range(halls):
            layout = hall(rows, width)
            picker, judge, sold, refused = Picker(layout), Judge(layout), 0, 0
            early: int | None = None
            for size in sizes(number):
                at = choose(picker, judge, size)
                if at is None:
                    early = sold if early is None else early
                    refused += 1
                    if refused == GIVE_UP or sold == len(layout):
                        break
                    continue
                seats = tuple(range(at, at + size))
                picker.take(seats)
                judge.change(seats, taken=True)
                sold, refused = sold + size, 0
            first.append((early or 0) / len(layout))
            last.append(sold / len(layout))
        said = ", ".join(
            f"{sum(each) / halls:.1%} {when} (least {min(each):.1%})"
            for each, when in ((first, "when the first is turned away"), (last, "at sell-out"))
        )
        print(f"{name}: {said}")


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seating", description=__doc__)
    parser.add_argument("what", choices=["speed", "holds", "parties", "fill"])
    parser.add_argument("--count", type=int, help="rounds (5, 3), parties (1,000,000) or halls (20)")
    asked = parser.parse_args()
    runs = {"speed": (speed, 5), "holds": (holds, 3), "parties": (parties, 1_000_000), "fill": (fill, 20)}
    run, usual = runs[asked.what]
    run(asked.count or usual)


if __name__ == "__main__":
    main()
