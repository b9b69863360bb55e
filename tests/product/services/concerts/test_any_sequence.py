"""Whatever is asked of a section, in whatever order and however often: it adds up."""

from datetime import datetime, timedelta
from functools import reduce
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes import NOON

from cludale.kernel.events import Event
from cludale.kernel.money import Money
from cludale.kernel.refusals import Refusal
from cludale.services.concerts.domain import Cancel, Command, Expire, Hold, Sell, UnknownReservation, decide
from cludale.services.concerts.events import ReleaseReason, SaleRefused, SeatsReleased, SeatsReserved, SeatsSold
from cludale.services.concerts.evolution import Seating, evolve
from cludale.services.concerts.stock import Section, Status

TOTAL = 12
SECTION = Section(concert_id="concert-1", id="stalls", price=Money(4500, "EUR"), total=TOTAL)

NAMES = st.sampled_from("abcde")
HOLDS = st.builds(
    lambda name, quantity, seconds: Hold(f"reservation-{name}", f"order-{name}", quantity, seconds),
    NAMES,
    st.integers(1, 8),
    st.sampled_from([0.5, 1, 3]),
)
SALES = st.builds(
    lambda name, payment_round: Sell(f"reservation-{name}", f"order-{name}", payment_round), NAMES, st.integers(1, 2)
)
CANCELS = st.builds(
    lambda name, on_purpose: Cancel(f"reservation-{name}", ReleaseReason.CANCELLED, on_purpose), NAMES, st.booleans()
)
EXPIRIES = st.builds(lambda name: Expire(f"reservation-{name}"), NAMES)
COMMANDS = st.one_of(HOLDS, HOLDS, SALES, CANCELS, EXPIRIES)
WAITS = st.sampled_from([0.0, 0.0, 0.25, 1.0, 2.0, -1.5])
"""Clocks go back, too."""


class Fate(NamedTuple):
    """What the events alone say of a reservation."""

    status: Status
    quantity: int
    expires_at: datetime


class Ledger:
    """Counts seats from the events alone, in the plainest way."""

    def __init__(self) -> None:
        self.fates: dict[str, Fate] = {}
        self.refused: list[tuple[str, int]] = []

    def note(self, event: Event) -> None:
        match event:
            case SeatsReserved():
                assert event.allocation.reservation_id not in self.fates, "reserved twice"
                self.fates[event.allocation.reservation_id] = Fate(
                    Status.HELD, event.allocation.quantity, event.expires_at
                )
            case SeatsSold():
                before = self.fates[event.allocation.reservation_id]
                assert before.status is Status.HELD
                assert before.quantity == event.allocation.quantity
                self.fates[event.allocation.reservation_id] = before._replace(status=Status.SOLD)
            case SeatsReleased():
                before = self.fates[event.allocation.reservation_id]
                assert before.status is not Status.RELEASED
                assert before.quantity == event.allocation.quantity
                self.fates[event.allocation.reservation_id] = before._replace(status=Status.RELEASED)
            case SaleRefused():
                self.refused.append((event.order_id, event.payment_round))

    def held(self, now: datetime) -> int:
        live = (each for each in self.fates.values() if each.status is Status.HELD and now < each.expires_at)
        return sum(each.quantity for each in live)

    def sold(self) -> int:
        return sum(each.quantity for each in self.fates.values() if each.status is Status.SOLD)


def check(seating: Seating, ledger: Ledger, now: datetime) -> None:
    section = seating.section
    assert section.available(now) + section.held_seats(now) + section.sold == TOTAL
    assert section.available(now) >= 0
    assert section.held_seats(now) == ledger.held(section.moment(now))
    assert section.sold == ledger.sold()
    assert all(seats > 0 for seats in section.held.values())
    assert {id: each.status for id, each in seating.reservations.items()} == {
        id: fate.status for id, fate in ledger.fates.items()
    }


@settings(max_examples=300)
@given(steps=st.lists(st.tuples(COMMANDS, WAITS), max_size=60))
def test_any_sequence_of_commands_adds_up(steps: list[tuple[Command, float]]) -> None:
    seating, ledger, now = Seating(SECTION, {}), Ledger(), NOON
    events: list[Event] = []
    for command, wait in steps:
        now += timedelta(seconds=wait)
        try:
            decision = decide(seating, command, now)
        except (Refusal, UnknownReservation):
            continue
        seating = decision.state
        for event in decision.events:
            ledger.note(event)
        events += decision.events
        check(seating, ledger, now)
    for later in (1, 10):
        check(seating, ledger, now + timedelta(seconds=later))
    folded = reduce(evolve, events, Seating(SECTION, {}))
    # no event tells of the time that it went by
    assert folded.section == msgspec.structs.replace(seating.section, as_of=None)
    assert {id: (each.status, each.answered) for id, each in folded.reservations.items()} == {
        id: (each.status, each.answered) for id, each in seating.reservations.items()
    }


@settings(max_examples=200)
@given(steps=st.lists(st.tuples(COMMANDS, WAITS), max_size=40), last=COMMANDS)
def test_a_command_given_twice_takes_seats_once(steps: list[tuple[Command, float]], last: Command) -> None:
    seating, now = Seating(SECTION, {}), NOON
    for command, wait in [*steps, (last, 0.0)]:
        now += timedelta(seconds=wait)
        try:
            seating = decide(seating, command, now).state
        except (Refusal, UnknownReservation):
            continue
    try:
        again = decide(seating, last, now)
    except (Refusal, UnknownReservation):
        return
    assert not again.events
    assert again.state.section == seating.section
    assert dict(again.state.reservations) == dict(seating.reservations)
