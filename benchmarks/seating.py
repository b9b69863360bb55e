"""`python -m benchmarks.seating`: numbered seats: how fast they are picked, how many are sold, and is the rule kept.

`speed` sells out 20,000 seats, `holds` decides the holds of a section of as many by quantity and with numbers, `memory`
says what such a section takes, `parties` places a million parties and judges each by code of its own, `fill` sells
halls to parties that don't let themselves be split, beside a first-fit and a nearest-only picker.

Party sizes: of 255 venues' sales in 2023/24, 37 % of the tickets were sold in pairs, 16 % in more than twelve at once
(https://evidence.audienceanswers.org/en/evidence/articles/changes-party-sizes). Nothing more exact is published; how
the other 47 % are spread is assumed (TICKETS), as is that no party is larger than 20.
"""

import argparse
import gc
import random
import tracemalloc
from collections.abc import Callable, Iterator
from time import thread_time_ns

from benchmarks.decisions import Sale, curved, decisions, say, whole
from benchmarks.parties import GIVE_UP, Judge, judged
from cludale.services.concerts.numbered import Hall
from cludale.services.concerts.seating.layout import Flags, Layout, Seat
from cludale.services.concerts.seating.picking import NotEnoughSeats, Party, Picker, Step

TICKETS = {1: 8.0, 2: 37.0, 3: 9.0, 4: 16.0, 5: 4.0, 6: 4.0} | dict.fromkeys(range(7, 13), 1.0)
TICKETS |= dict.fromkeys(range(13, 21), 2.0)
"""What share of a hundred tickets parties of each size buy."""


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
    empty = Picker(hall(400, 50))
    empty.settle()
    took: list[list[int]] = []
    steps: dict[Step, int] = {}
    for _ in range(rounds):
        picker, each, steps = empty.copy(), [], {}
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
        say(f"round {number}", each)
    say("each decision's least of the rounds", [min(times) for times in zip(*took, strict=True)])


def holds(rounds: int) -> None:
    """What is decided of holds in sections of 20,000 seats: with numbers in two halls, and by quantity."""
    decisions(rounds, {"numbered": hall(400, 50), "numbered, on arcs": curved()}, sizes)


def memory(_: int) -> None:
    """What a process keeps of a concert of 20,000 seats while it is sold: tracemalloc counts it."""
    tracemalloc.start()
    empty = Hall(hall(400, 50))
    empty.prepare()
    of_plan = _allocated()
    print(f"where its seats are, for all concerts of this plan together: {of_plan / 1e6:.2f} MB")
    sale = Sale(empty, 20_000, 600.0)
    whole(sale, sizes(1), are_paid=False)
    sale.forget()
    print(f"with the concert's own section, picker and record, all of it held: {_allocated() / 1e6:.2f} MB")
    del sale
    sale = Sale(empty, 20_000, 30.0)
    whole(sale, sizes(1), are_paid=True)
    sale.forget()
    print(f"and sold, after many holds that ended: {_allocated() / 1e6:.2f} MB")
    tracemalloc.stop()


def _allocated() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def parties(count: int) -> None:
    """So many parties, and what is to be said against where they sit."""
    layout = hall(25, 40, accessible=True)
    tally = judged(count, layout, sizes(7))
    print(f"{tally.parties} parties in {tally.halls} halls of {len(layout)} seats; {tally.back} gave theirs back")
    print(f"{tally.together} sat together, {tally.alone} of them with a seat left alone; {tally.apart} sat apart")
    print(
        f"{tally.doubles} seats given twice, {tally.avoidable} seats left alone that need not be, "
        f"{tally.torn} parties apart that could sit together, {tally.unasked} accessible seats to who did not ask"
    )


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
    parser.add_argument("what", choices=["speed", "holds", "memory", "parties", "fill"])
    parser.add_argument("--count", type=int, help="rounds (5, 3), parties (1,000,000) or halls (20)")
    asked = parser.parse_args()
    runs = {
        "speed": (speed, 5),
        "holds": (holds, 3),
        "memory": (memory, 1),
        "parties": (parties, 1_000_000),
        "fill": (fill, 20),
    }
    run, usual = runs[asked.what]
    run(asked.count or usual)


if __name__ == "__main__":
    main()
