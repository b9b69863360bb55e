"""How long each decision about a hold takes, in a section of 20,000 seats: with numbers, and by quantity.

Time is that of the processor and, beside it, the clock's. The same decisions are made in several rounds. Whatever
others do on the machine only ever adds, so the least of each decision in all rounds is told beside each round.
"""

import gc
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from math import cos, sin
from time import perf_counter_ns, thread_time_ns
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from cludale.kernel.money import Money
from cludale.ports.seats import SeatsUnavailable
from cludale.services.concerts.domain import Expire, Hold, Sell, decide
from cludale.services.concerts.events import SeatPlanPart, SectionPlan
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.numbered import Hall
from cludale.services.concerts.seating.layout import Layout, Seat
from cludale.services.concerts.stock import Reservation, Section, untouched
from cludale.services.concerts.store import SECTIONS

STEP = timedelta(milliseconds=20)
"""From one buyer to the next."""
PAID_AFTER = 150
"""So many buyers later one pays, who does."""
UNPAID = 5
"""One in so many lets the hold end."""
TURNED_AWAY = 300
"""It is over once so many in a row found no seats."""


class Decided(NamedTuple):
    """A hold: how many seats were wanted, how full the section was, whether it was refused, and what it took."""

    size: int
    full: float
    is_refused: bool
    cpu: int
    wall: int


def curved(rows: int = 320) -> Layout:
    """20,000 seats on arcs around the stage, each row longer than the one before, with two aisles."""
    made: list[tuple[str, list[Seat]]] = []
    left = 20_000
    for row in range(rows):
        radius, width = 500.0 + 25 * row, min(left, 30 + row // 3 if row < rows - 1 else left)
        seats = []
        for place in range(width):
            aisle = (place >= width // 3) + (place >= 2 * width // 3)
            angle = (place - width / 2 + 1.5 * aisle) * 20 / radius
            id = f"{row:08x}-{place:04x}-4000-8000-{left - place:012x}"
            seats.append(Seat(id, str(place + 1), 5000 + radius * sin(angle), radius * cos(angle), "A"))
        made.append((str(row + 1), seats))
        left -= width
    return Layout(made, focus=(5000.0, 200.0), spacing=20.0)


class Sale:
    """A section of a concert, to which the buyers come one after the other."""

    def __init__(self, empty: Hall | None, seats: int, hold_seconds: float) -> None:
        """`empty`: where its seats are, if they have numbers."""
        self.hall = None if empty is None else empty.apart()
        part: SeatPlanPart | UnsetType = UNSET if empty is None else SeatPlanPart(digest="", zone="")
        plan = SectionPlan(id="s", name="s", total_seats=seats, price=Money(1, "EUR"), plan=part)
        self.section: Section = untouched("c", plan)
        self.now = datetime(2027, 1, 1, tzinfo=UTC)
        self._hold_seconds = hold_seconds
        self._paid: deque[tuple[int, str]] = deque()
        self._unpaid: deque[tuple[datetime, str]] = deque()
        self._reservations: dict[str, Reservation] = {}
        self._came = 0

    def hold(self, size: int) -> Decided:
        """The next buyer."""
        self.now += STEP
        self._came += 1
        id = f"reservation-{self._came}"
        wanted, seating = Hold(id, None, size, self._hold_seconds), Seating(self.section, {}, self.hall)
        full = self.section.taken(self.now) / self.section.total
        began, cpu = perf_counter_ns(), thread_time_ns()
        try:
            after = decide(seating, wanted, self.now)
        except SeatsUnavailable:
            cpu, wall = thread_time_ns() - cpu, perf_counter_ns() - began
            return Decided(size, full, is_refused=True, cpu=cpu, wall=wall)
        cpu, wall = thread_time_ns() - cpu, perf_counter_ns() - began
        self.section, self._reservations[id] = after.state.section, after.state.reservations[id]
        if self._came % UNPAID:
            self._paid.append((self._came + PAID_AFTER, id))
        else:
            self._unpaid.append((self.now + timedelta(seconds=self._hold_seconds + 1), id))
        return Decided(size, full, is_refused=False, cpu=cpu, wall=wall)

    def settle(self) -> None:
        """Who pays has paid, and holds that have ended are let go: once in a second, as the service does it."""
        while self._paid and self._paid[0][0] <= self._came:
            _, id = self._paid.popleft()
            self._decide(id, Sell(id, f"order-{id}", 1))
        if self._came % 50 == 0:
            while self._unpaid and self._unpaid[0][0] <= self.now:
                self._decide(id := self._unpaid.popleft()[1], Expire(id))

    def forget(self) -> None:
        """The reservations, which a section's process does not keep."""
        self._reservations.clear()
        self._paid.clear()
        self._unpaid.clear()

    def _decide(self, id: str, command: Sell | Expire) -> None:
        seating = Seating(self.section, {id: self._reservations.pop(id)}, self.hall)
        self.section = decide(seating, command, self.now).state.section


def whole(sale: Sale, sizes: Iterator[int], *, are_paid: bool) -> list[Decided]:
    """Every hold until the section is full, or, where some are not paid, until TURNED_AWAY in a row found nothing."""
    found: list[Decided] = []
    away = 0
    while away < (TURNED_AWAY if are_paid else 1):
        found.append(sale.hold(next(sizes)))
        away = away + 1 if found[-1].is_refused else 0
        if are_paid:
            sale.settle()
    return found


def decisions(rounds: int, layouts: dict[str, Layout], sizes: Callable[[int], Iterator[int]]) -> None:
    """Print it for each hall, beside a section by quantity: holds alone, then with buyers who pay and who don't."""
    empty: dict[str, Hall | None] = {"by quantity": None}
    for name, layout in layouts.items():
        began = thread_time_ns()
        empty[name] = where = Hall(layout)
        where.prepare()
        print(
            f"{name}: {len(layout)} seats in {len(layout.rows)} rows; made in {(thread_time_ns() - began) / 1e6:.0f} ms"
        )
    for title, are_paid, hold_seconds in (("holds until it is full", False, 600.0), ("paid or not", True, 30.0)):
        print(f"\n## {title}")
        for name, its in empty.items():
            seen: list[list[Decided]] = []
            for number in range(1, rounds + 1):
                sale = Sale(its, 20_000, hold_seconds)
                gc.collect()
                seen.append(whole(sale, sizes(1), are_paid=are_paid))
                say(f"{name}, round {number}", [each.cpu for each in seen[-1]], [each.wall for each in seen[-1]])
            least = [
                at[0]._replace(cpu=min(each.cpu for each in at), wall=min(each.wall for each in at))
                for at in zip(*seen, strict=True)
            ]
            say(f"{name}, least of {rounds} rounds", [each.cpu for each in least], [each.wall for each in least])
            _by(least)
            print(f"  the first {least[0].cpu / 1000:.0f} µs; record {len(SECTIONS.put(sale.section, 0).body)} bytes")


SIZES = ((1, 1), (2, 2), (3, 3), (4, 4), (5, 6), (7, 12), (13, 20))


def _by(decided: Sequence[Decided]) -> None:
    held = [each for each in decided if not each.is_refused]
    for first, last in SIZES:
        _short(f"{first} to {last}" if last > first else f"{first}", [e for e in held if first <= e.size <= last])
    for part in range(10):
        _short(f"{part * 10} to {part * 10 + 10} % full", [e for e in held if part <= e.full * 10 < part + 1])
    _short("refused", [each for each in decided if each.is_refused])


def _short(what: str, decided: Sequence[Decided]) -> None:
    if decided:
        took = [each.cpu for each in decided], [each.wall for each in decided]
        cpu, wall = (" ".join(f"{at:.0f}" for at in parts(each)) for each in took)
        print(f"  {what}: {len(decided)}; p50 p99 p99.9 most: {cpu} µs of CPU, {wall} by the clock")


def say(what: str, cpu: Sequence[int], wall: Sequence[int] = ()) -> None:
    """A line of figures."""
    at = parts(cpu)
    told = f"p50 {at[0]:.0f}, p99 {at[1]:.0f}, p99.9 {at[2]:.0f}, most {at[3]:.0f} µs of CPU"
    if wall:
        at = parts(wall)
        told += f"; p50 {at[0]:.0f}, p99 {at[1]:.0f}, p99.9 {at[2]:.0f}, most {at[3]:.0f} by the clock"
    print(f"{what}: {len(cpu)} decisions: {told}")


def parts(took: Sequence[int]) -> list[float]:
    """p50, p99, p99.9 and the most, in µs, of nanoseconds."""
    took = sorted(took)
    return [took[min(len(took) - 1, int(len(took) * part))] / 1000 for part in (0.5, 0.99, 0.999, 1)]
