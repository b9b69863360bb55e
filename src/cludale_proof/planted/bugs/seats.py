"""Seats: held, sold, given back."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta

import msgspec
from msgspec import UNSET

from cludale.kernel.allocation import NumberedSeat
from cludale.kernel.decision import Decision
from cludale.services.concerts import domain as concerts_domain
from cludale.services.concerts import evolution, holding, numbered
from cludale.services.concerts.domain import Cancel, Sell
from cludale.services.concerts.events import ReleaseReason, SeatsReleased
from cludale.services.concerts.evolution import Seating, evolve
from cludale.services.concerts.numbered import Hall, SeatMap
from cludale.services.concerts.seat_plans import domain as plan_changes
from cludale.services.concerts.seat_plans.domain import ChangePlan
from cludale.services.concerts.seating.ground import ORPHAN, Place, Stretch
from cludale.services.concerts.stock import Reservation, Section, Status
from cludale_proof.planted.planting import bug, swap

_NUMBERED = "numbered seats"


@bug("seats: what is held counts as available")
def _(stack: ExitStack) -> None:
    swap(stack, Section, "available", lambda self, now: self.total - self.sold)


@bug("seats: one hold more than there is room for")
def _(stack: ExitStack) -> None:
    right = Section.available
    swap(stack, Section, "available", lambda self, now: right(self, now) + 1)


@bug("seats: a hold is sold though its time is over", theme="slow payments")
def _(stack: ExitStack) -> None:
    right = concerts_domain.sell

    def wrong(seating: Seating, sale: Sell, now: datetime) -> Decision[Seating]:
        reservation = seating.reservations.get(sale.reservation_id)
        if reservation is not None and reservation.status is Status.HELD:
            return right(seating, sale, reservation.expires_at - timedelta(seconds=1))
        return right(seating, sale, now)

    swap(stack, concerts_domain, "sell", wrong)


@bug("seats: the sweeper decides when a hold has ended, not its time", theme="slow payments")
def _(stack: ExitStack) -> None:
    swap(stack, Reservation, "is_live", lambda self, now: self.status is not Status.RELEASED)
    swap(stack, concerts_domain, "expire", _expire_by_time)


def _expire_by_time(seating: Seating, expire: concerts_domain.Expire, now: datetime) -> Decision[Seating]:
    reservation = seating.reservations[expire.reservation_id]
    if reservation.status is not Status.HELD or now < reservation.expires_at:
        return Decision(seating)
    return _released(seating, reservation, ReleaseReason.EXPIRED)


def _released(seating: Seating, reservation: Reservation, reason: ReleaseReason) -> Decision[Seating]:
    released = SeatsReleased(allocation=reservation.allocation, order_id=reservation.order_id, reason=reason)
    return Decision(evolve(seating, released), (released,))


@bug("seats: a clock that goes back brings ended holds to life", theme="clocks + slow payments")
def _(stack: ExitStack) -> None:
    swap(stack, Section, "moment", lambda self, now: now)


@bug("seats: late money gets seats whether there are any or not")
def _(stack: ExitStack) -> None:
    right = concerts_domain.seat_late_money

    def wrong(seating: Seating, ended: Reservation, sale: Sell, now: datetime) -> Decision[Seating]:
        roomy = msgspec.structs.replace(seating.section, total=seating.section.total + 1_000)
        decision = right(Seating(roomy, seating.reservations), ended, sale, now)
        section = msgspec.structs.replace(decision.state.section, total=seating.section.total)
        return Decision(Seating(section, decision.state.reservations), decision.events)

    swap(stack, concerts_domain, "seat_late_money", wrong)


@bug("seats: late money gets seats though its order was cancelled")
def _(stack: ExitStack) -> None:
    right = concerts_domain.seat_late_money

    def wrong(seating: Seating, ended: Reservation, sale: Sell, now: datetime) -> Decision[Seating]:
        return right(seating, msgspec.structs.replace(ended, closed=False), sale, now)

    swap(stack, concerts_domain, "seat_late_money", wrong)


@bug("seats: late money gets seats each time that it is told of")
def _(stack: ExitStack) -> None:
    right = concerts_domain.sell

    def wrong(seating: Seating, sale: Sell, now: datetime) -> Decision[Seating]:
        forgetful = {id: msgspec.structs.replace(each, successor=None) for id, each in seating.reservations.items()}
        return right(Seating(seating.section, forgetful), sale, now)

    swap(stack, concerts_domain, "sell", wrong)


@bug("seats: that late money was refused is not noted")
def _(stack: ExitStack) -> None:
    right = concerts_domain.seat_late_money

    def wrong(seating: Seating, ended: Reservation, sale: Sell, now: datetime) -> Decision[Seating]:
        decision = right(seating, ended, sale, now)
        reservations = {
            id: msgspec.structs.replace(each, answered=UNSET) for id, each in decision.state.reservations.items()
        }
        return Decision(Seating(decision.state.section, reservations), decision.events)

    swap(stack, concerts_domain, "seat_late_money", wrong)


@bug("seats: a cancelled order keeps the seats that were sold to it")
def _(stack: ExitStack) -> None:
    right = concerts_domain.cancel

    def wrong(seating: Seating, cancel: Cancel) -> Decision[Seating]:
        reservation = seating.reservations.get(cancel.reservation_id)
        if reservation is not None and reservation.status is Status.SOLD:
            return Decision(seating)
        return right(seating, cancel)

    swap(stack, concerts_domain, "cancel", wrong)


@bug("seats: a cancelled order gives back its hold, not the seats that its late money got")
def _(stack: ExitStack) -> None:
    right = concerts_domain.cancel

    def wrong(seating: Seating, cancel: Cancel) -> Decision[Seating]:
        alone = {
            id: msgspec.structs.replace(each, successor=None)
            for id, each in seating.reservations.items()
            if id == cancel.reservation_id
        }
        decision = right(Seating(seating.section, alone), cancel)
        return Decision(
            Seating(decision.state.section, {**seating.reservations, **decision.state.reservations}), decision.events
        )

    swap(stack, concerts_domain, "cancel", wrong)


@bug("seats: seats go back twice")
def _(stack: ExitStack) -> None:
    swap(stack, evolution, "NEXT", dict.fromkeys(Status, frozenset(Status)))
    right = concerts_domain.cancel

    def wrong(seating: Seating, cancel: Cancel) -> Decision[Seating]:
        reservation = seating.reservations.get(cancel.reservation_id)
        return right(seating, cancel) if reservation is None else _released(seating, reservation, cancel.reason)

    swap(stack, concerts_domain, "cancel", wrong)


@bug("seats: asked again for the same order, another hold")
def _(stack: ExitStack) -> None:
    asked = [0]

    def wrong(prefix: str, other: str) -> str:
        asked[0] += 1
        return f"{prefix}-{other.partition('-')[2] or other}.again{asked[0]}"

    swap(stack, holding, "same_as", wrong)


# -- seats with numbers


@bug("numbered seats: an ended hold clears the bits of its seats, though others hold them by now", theme=_NUMBERED)
def _(stack: ExitStack) -> None:
    right = numbered.released

    def wrong(seats: SeatMap, those: Sequence[NumberedSeat], until: int) -> SeatMap:
        after = right(seats, those, until)
        again = [seat for seat in those if after.taken[seat.at >> 3] >> (seat.at & 7) & 1]
        return numbered.given_back(after, again)

    swap(stack, numbered, "released", wrong)


@bug("numbered seats: money that came late gets its seats again, whosever they are", theme=_NUMBERED)
def _(stack: ExitStack) -> None:
    def wrong(hall: Hall, taken: bytes, had: Sequence[NumberedSeat]) -> tuple[NumberedSeat, ...]:
        return tuple(had)

    swap(stack, numbered, "same_or_best", wrong)


@bug("numbered seats: places that leave a seat alone are the first that parties get", theme=_NUMBERED)
def _(stack: ExitStack) -> None:
    right = Stretch.key

    def wrong(self: Stretch, place: Place, size: int) -> int:
        return right(self, place._replace(orphans=2 * ORPHAN - place.orphans), size)

    swap(stack, Stretch, "key", wrong)


@bug("numbered seats: another plan takes a sold seat away", theme=_NUMBERED)
def _(stack: ExitStack) -> None:
    right = plan_changes.decide

    def wrong(seating: Seating, wanted: ChangePlan, now: datetime) -> Decision[Seating]:
        """With nothing sold, as far as it is looked at."""
        section = seating.section
        if section.numbered is UNSET:
            return right(seating, wanted, now)
        nothing = msgspec.structs.replace(section.numbered, taken=bytes(len(section.numbered.taken)))
        try:
            return right(seating, wanted, now)
        except plan_changes.SeatsKept as kept:
            if any(each.whose is not plan_changes.Whose.SOLD for each in kept.seats):
                raise
            blind = Seating(msgspec.structs.replace(section, numbered=nothing), seating.reservations, seating.hall)
            (event,) = right(blind, wanted, now).events
            return Decision(evolve(seating, event), (event,))

    swap(stack, plan_changes, "decide", wrong)
