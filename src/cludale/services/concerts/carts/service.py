"""Holds for several orders, those of one cart or of a list of guests: all of them, or none.

They are asked for at once, each in its section's command queue. Nobody waits for another while they have something, so
two carts that want the same sections in another order can't block each other: one of them is refused. What it had got
is given back before that is answered; what a crash leaves behind lapses as any hold does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from cludale.kernel.events import Cause
from cludale.kernel.refusals import Busy, Refusal
from cludale.ports.seats import HoldRequest, LineRefused, OtherCurrency, OtherOrganizer, SeatsHeld
from cludale.services.concerts.commands import QueuedCommand, Result
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.domain import Cancel
from cludale.services.concerts.events import ReleaseReason
from cludale.services.concerts.store import SectionKey

Submit = Callable[[SectionKey, Sequence[QueuedCommand]], Awaitable[Sequence[Result]]]
"""Into a section's command queue."""


ShowConcert = Callable[[str], Awaitable[Concert]]
"""The concert with this id. Raises ConcertNotFound."""
HoldOne = Callable[[HoldRequest], Awaitable[SeatsHeld]]


async def hold_all(
    concert: ShowConcert, hold: HoldOne, submit: Submit, requests: Sequence[HoldRequest]
) -> Sequence[SeatsHeld]:
    """Hold all of these. Raises LineRefused, with the first line that is refused; Busy, what the store raises."""
    await _check_alike(concert, requests)
    results = await asyncio.gather(*(hold(each) for each in requests), return_exceptions=True)
    held = [each for each in results if isinstance(each, SeatsHeld)]
    if len(held) == len(results):
        return held
    await give_back(submit, [each for each in held if each.event_id is not None])  # what was held before is not ours
    (line, error), *others = [(i, each) for i, each in enumerate(results) if isinstance(each, BaseException)]
    if isinstance(error, Refusal) and not isinstance(error, Busy):
        raise LineRefused(line, error, {i: each.detail for i, each in others if isinstance(each, Refusal)})
    raise error


async def give_back(submit: Submit, held: Sequence[SeatsHeld]) -> None:
    """These can be had again at once."""
    by_section: dict[SectionKey, list[QueuedCommand]] = {}
    for each in held:
        back = Cancel(each.allocation.reservation_id, ReleaseReason.UNPAID, on_purpose=False)
        by_section.setdefault(SectionKey.of(each.allocation), []).append(QueuedCommand(back, Cause(each.event_id)))
    await asyncio.gather(*(submit(key, commands) for key, commands in by_section.items()))


async def _check_alike(show: ShowConcert, requests: Sequence[HoldRequest]) -> None:
    """One charge is in one currency, and for one organizer. Raises LineRefused."""
    first: Concert | None = None
    checked: set[str] = set()
    for line, each in enumerate(requests):
        if each.concert_id in checked:
            continue
        checked.add(each.concert_id)
        try:
            concert = await show(each.concert_id)
        except Refusal as refusal:
            raise LineRefused(line, refusal) from refusal
        first = first or concert
        currency = concert.sections[0].price.currency
        if concert.organizer != first.organizer:
            raise LineRefused(line, OtherOrganizer(concert.id))
        if currency != first.sections[0].price.currency:
            raise LineRefused(line, OtherCurrency(concert.id, currency, field="concertId"))
