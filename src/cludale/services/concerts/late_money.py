"""Money that comes after its hold ended: whether it would get seats, and what it gets of what buyers may have."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from msgspec.structs import replace

from cludale.kernel.buyers import BuyerKeys
from cludale.kernel.refusals import Busy
from cludale.ports.clock import Clock
from cludale.ports.prices import CodeUsedUp
from cludale.ports.sales import Outlook, SaleOutlook
from cludale.ports.seats import BuyerLimitReached
from cludale.services.concerts import domain
from cludale.services.concerts.buyers.domain import CLAIM_SECONDS
from cludale.services.concerts.buyers.service import BuyerLimits, WantedSeats
from cludale.services.concerts.choosing import HoldIn
from cludale.services.concerts.codes.service import CodeService, WantedUse
from cludale.services.concerts.commands import Done, QueuedCommand, Result
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.directory import Directory
from cludale.services.concerts.domain import LateSeatsUnclaimed
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.folding import near
from cludale.services.concerts.sections import Sections
from cludale.services.concerts.stock import Reservation
from cludale.services.concerts.store import SectionKey


class LateMoney:
    """Seats for money that comes late."""

    def __init__(
        self,
        clock: Clock,
        directory: Directory,
        sections: Sections,
        submit: HoldIn,
        *,
        buyers: BuyerLimits,
        codes: CodeService,
    ) -> None:
        """`submit` puts commands into a section's queue."""
        self._clock = clock
        self._directory = directory
        self._sections = sections
        self._submit = submit
        self._buyers = buyers
        self._codes = codes

    async def sale_outlook(self, concert_id: str, section_id: str, reservation_id: str) -> SaleOutlook:
        """What would come of money for this reservation now; for payments alone.

        Raises ConcertNotFound, SectionNotFound.
        """
        concert = await self._directory.concert(concert_id)
        section, loaded = await self._sections.load(SectionKey(concert.id, section_id), (reservation_id,))
        close = near({each: known.state for each, known in loaded.items()}, reservation_id)
        seating = Seating(section.state, close, await self._sections.hall_of(section.state))
        now = self._clock.now()
        outlook = domain.sale_outlook(seating, reservation_id, over_at=concert.over_at, now=now)
        if outlook.outlook is not Outlook.POSSIBLE:
            return outlook
        reservation = loaded[reservation_id].state
        if not (reservation.buyers or reservation.code) or reservation.is_live(now):
            return outlook
        # Its buyer may have got others since the hold ended, and others may have used its code.
        has_room = True
        if reservation.buyers:
            has_room = await self._buyers.have_room(_again(concert, reservation, reservation.buyers))
        if reservation.code and has_room:
            has_room = await self._codes.has_room(_use_again(reservation, reservation.code))
        return outlook if has_room else SaleOutlook(Outlook.GONE, outlook.left)

    async def sell(self, key: SectionKey, asked: QueuedCommand, late: LateSeatsUnclaimed) -> Result:
        """Other seats for money that came late, if its buyer and its code may have as many yet; else it goes back."""
        again = late.again
        ends = self._clock.now() + timedelta(seconds=CLAIM_SECONDS)
        given_up: list[Callable[[], Awaitable[None]]] = []
        try:
            if late.buyers:
                wanted = _again(await self._directory.concert(key.concert_id), again, late.buyers)
                ends = min(ends, await self._buyers.claim(wanted))
                given_up.append(partial(self._buyers.give_up, wanted))
            if again.code is not None:
                use = _use_again(again, again.code)
                await self._codes.claim(use)
                given_up.append(partial(self._codes.give_up, use))
        except (BuyerLimitReached, CodeUsedUp):
            sale = replace(asked.command, seats_again=False)
        except Busy as busy:
            for give_up in given_up:
                await give_up()
            return busy
        else:
            sale = replace(asked.command, claim_ends=ends)
        (result,) = await self._submit(key, (replace(asked, command=sale),))
        if isinstance(result, Done) and result.reservation.successor != again.id:
            for give_up in given_up:
                await give_up()
        return result


def _again(concert: Concert, reservation: Reservation, buyers: BuyerKeys) -> WantedSeats:
    """The seats of a hold that has ended, once more, for money that is there."""
    return WantedSeats(concert, buyers, reservation.id, reservation.quantity, hold_seconds=1.0, counts_holds=False)


def _use_again(reservation: Reservation, code: str) -> WantedUse:
    """The use of its code once more, for seats that take the place of those that it had."""
    return WantedUse(reservation.concert_id, code, reservation.id, reservation.quantity, 1.0, is_late=True)
