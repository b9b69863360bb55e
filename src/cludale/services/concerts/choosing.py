"""Which section an order gets that names none: the cheapest with room for all of its seats.

It is chosen by what this process knows of the sections, which costs the same for five sections as for five hundred, and
decided in the section's own command queue. What is known here comes from the commands that ran here and from looks at
the store, and may be behind what other replicas did. So it is never the reason for a refusal, nor for long that for a
higher price.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from math import inf

import msgspec
from msgspec import UNSET

from cludale.kernel.decision import Decision
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy, Refusal
from cludale.ports.records import Key, Records
from cludale.ports.seats import HeldElsewhere, HoldEnded, PriceTooHigh, SeatsUnavailable
from cludale.runtime.aggregates import NEW, Change, Updates, Versioned
from cludale.runtime.batching import BatchingQueue
from cludale.runtime.recent import Recent
from cludale.services.concerts.commands import Done, QueuedCommand, Result
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.domain import Choice, Hold
from cludale.services.concerts.events import SectionPlan
from cludale.services.concerts.stock import Reservation, Section, unavailable, untouched
from cludale.services.concerts.store import CHOICES, RESERVATIONS, SECTIONS, SectionKey

LOOK_AGAIN_SECONDS = 0.25
"""How old the last look at the store may be when an order is given a dearer section than the cheapest."""
ROUNDS = 16
"""How often orders are given another section when others took the seats first."""
CONCERTS_KNOWN = 100

HoldIn = Callable[[SectionKey, Sequence[QueuedCommand]], Awaitable[Sequence[Result]]]
"""Puts commands into a section's queue."""


class Anywhere(msgspec.Struct, frozen=True, gc=False):
    """A hold that is wanted in whatever section is the cheapest with room."""

    concert: Concert
    hold: Hold
    asked: QueuedCommand
    max_amount: int | None
    """The most that one seat may cost, in the concert's currency."""
    may_be_repeated: bool
    """Can the same hold be asked for again?"""


class Room:
    """How many seats each section on offer has left, as far as is known here; the cheapest section comes first."""

    def __init__(self, concert: Concert, prices: Mapping[str, Money] = {}) -> None:
        """`prices`: those that are known to differ from what was scheduled, by section."""
        self.concert = concert
        self.prices = prices
        self.plans: Sequence[SectionPlan] = concert.offered(prices)
        self._scheduled = {plan.id: plan.price for plan in concert.sections}
        self.new_prices: dict[str, Money] = {}
        """Prices that were learnt since: the sections' order, and what is offered, may be another by now."""
        self.looked_at: datetime | None = None
        """When all sections were last read from the store."""
        self._places = {plan.id: place for place, plan in enumerate(self.plans)}
        self._known: list[Versioned[Section] | None] = [None] * len(self.plans)
        self._left = [0] * len(self.plans)
        self._left_until = [-inf] * len(self.plans)
        """Until which second since 1970 `_left` stays right by itself."""

    def learn(self, known: Versioned[Section]) -> None:
        """Take in a section as it was stored, unless a newer one is known."""
        section = known.state
        if section.changed is not UNSET and section.price != self.price_of(section.id):
            self.new_prices[section.id] = section.price
        place = self._places.get(section.id)
        if place is None:
            return
        before = self._known[place]
        if before is None or before.version <= known.version:
            self._known[place] = known
            self._left_until[place] = -inf

    def price_of(self, section: str) -> Money:
        """What a seat of the section costs, as far as is known."""
        known = self.new_prices.get(section) or self.prices.get(section)
        return known or self._scheduled[section]

    def section(self, place: int) -> Section:
        """The section as far as is known."""
        known = self._known[place]
        return known.state if known else untouched(self.concert.id, self.plans[place])

    def _count(self, place: int, now: datetime) -> None:
        section = self.section(place)
        self._left[place] = 0 if section.waiting else section.available_to_all(now)
        back = section.next_more(now)
        self._left_until[place] = inf if back is None else back.timestamp()

    def choose(self, quantities: Sequence[int], now: datetime) -> list[int | None]:
        """For each of these orders, one after the other, the place of the cheapest section with room; None: none has.

        As it is known, and as those before in `quantities` leave it.
        """
        second = now.timestamp()
        left, left_until, end = self._left, self._left_until, len(self.plans)
        taken: dict[int, int] = {}
        first: dict[int, int] = {}  # by quantity: no place before this one has room for so many
        chosen: list[int | None] = []
        for quantity in quantities:
            place = first.get(quantity, 0)
            while place < end:
                if second >= left_until[place]:
                    self._count(place, now)
                if left[place] >= quantity and left[place] - taken.get(place, 0) >= quantity:
                    break
                place += 1
            first[quantity] = place
            if place == end:
                chosen.append(None)
            else:
                taken[place] = taken.get(place, 0) + quantity
                chosen.append(place)
        return chosen

    def is_doubtful(self, chosen: Iterable[int], now: datetime) -> bool:
        """Was what is known read too long ago to give somebody a dearer section by it?"""
        if self.looked_at is None:
            return True
        age = now - self.looked_at
        if timedelta() <= age <= timedelta(seconds=LOOK_AGAIN_SECONDS):
            return False
        cheapest = self.price_of(self.plans[0].id)
        return any(self.price_of(self.plans[place].id) != cheapest for place in chosen)


class Chooser:
    """Holds seats for orders that name no section: for all that wait for one concert together."""

    def __init__(self, updates: Updates, hold_in: HoldIn, *, partitions_apart: bool) -> None:
        self._updates = updates
        self._records = updates.records
        self._clock = updates.clock
        self._hold_in = hold_in
        self._partitions_apart = partitions_apart
        self._rooms: Recent[str, Room] = Recent(CONCERTS_KNOWN)
        self._queue: BatchingQueue[str, Anywhere, Result] = BatchingQueue(
            self._hold_all, of="holds", refuse=too_many_wait
        )

    async def hold(self, wanted: Anywhere) -> Result:
        """Hold the seats, or why not. Raises Busy, StoreUnavailable."""
        (result,) = await self._queue.submit(wanted.concert.id, (wanted,))
        return result

    def learn(self, known: Versioned[Section]) -> None:
        """A section as a batch of commands left it."""
        room = self._rooms.get(known.state.concert_id)
        if room is not None:
            room.learn(known)

    def _new_room(self, concert: Concert, prices: Mapping[str, Money]) -> Room:
        room = Room(concert, prices)
        self._rooms.remember({concert.id: room})
        return room

    async def _hold_all(self, concert_id: str, wanted: Sequence[Anywhere]) -> Sequence[Result]:
        room = self._rooms.get(concert_id) or self._new_room(wanted[0].concert, {})
        if room.new_prices:
            room = self._new_room(room.concert, {**room.prices, **room.new_prices})
        results: dict[int, Result] = {}
        waiting = dict(enumerate(wanted))
        if self._partitions_apart:
            repeatable = {i: each for i, each in waiting.items() if each.may_be_repeated}
            results |= await self._hold_where_chosen(room, repeatable)
            waiting = {i: each for i, each in waiting.items() if i not in results}
        look = False
        for _ in range(ROUNDS):
            if not waiting:
                break
            places, refused = await self._placed(room, waiting, look=look)
            if room.new_prices:  # another section may be the cheapest
                room = self._new_room(room.concert, {**room.prices, **room.new_prices})
                look = True
                continue
            results |= await self._repeated_or(refused, waiting)
            held = await self._submit(room, {i: waiting[i] for i in places}, places)
            waiting = {i: waiting[i] for i, result in held.items() if isinstance(result, SeatsUnavailable)}
            results |= {i: result for i, result in held.items() if i not in waiting}
            look = True  # others were there first, so more has changed than the sections that refused tell
        for i, each in waiting.items():
            results[i] = Busy(f"The seats of concert {each.concert.id!r} are being taken by too many requests at once.")
        return [results[i] for i in range(len(wanted))]

    async def _placed(
        self, room: Room, waiting: dict[int, Anywhere], *, look: bool
    ) -> tuple[dict[int, int], dict[int, Refusal]]:
        """The place for each that can have seats, and why the others can't: by a look at the store, never without."""
        quantities = [each.hold.quantity for each in waiting.values()]
        looked = False
        while True:
            if look and not looked:
                await self._look(room, range(len(room.plans)))
                room.looked_at = self._clock.now()
                looked = True
            now = self._clock.now()
            places: dict[int, int] = {}
            refused: dict[int, Refusal] = {}
            for (i, each), place in zip(waiting.items(), room.choose(quantities, now), strict=True):
                if place is None:
                    refused[i] = _unavailable(room, each, now)
                elif each.max_amount is not None and room.price_of(room.plans[place].id).amount > each.max_amount:
                    price = room.price_of(room.plans[place].id)
                    most = msgspec.structs.replace(price, amount=each.max_amount)
                    refused[i] = PriceTooHigh(each.concert.id, max_price=most, price_from=price)
                else:
                    places[i] = place
            if looked or not (refused or room.is_doubtful(places.values(), now)):
                return places, refused
            look = True

    async def _look(self, room: Room, places: Iterable[int]) -> None:
        keys = [SectionKey(room.concert.id, room.plans[place].id).partition for place in places]
        for known in (await SECTIONS.load(self._records, keys)).values():
            room.learn(known)

    async def _submit(self, room: Room, held: dict[int, Anywhere], places: dict[int, int]) -> dict[int, Result]:
        """Put the holds into each section's command queue."""
        by_place: dict[int, list[int]] = {}
        for i, place in places.items():
            by_place.setdefault(place, []).append(i)

        answers = await asyncio.gather(
            *(self._ask(room.concert, room.plans[at].id, [held[i] for i in ids]) for at, ids in by_place.items())
        )
        pairs = zip(by_place.values(), answers, strict=True)
        return {i: result for ids, results in pairs for i, result in zip(ids, results, strict=True)}

    async def _ask(self, concert: Concert, section: str, wanted: Sequence[Anywhere]) -> Sequence[Result]:
        """What the section answers to each; what its queue raises is the answer to them all."""
        try:
            return await self._hold_in(SectionKey(concert.id, section), [each.asked for each in wanted])
        except Exception as error:  # noqa: BLE001 - handed on to those whom it is about
            return [error] * len(wanted)

    async def _repeated_or(self, refused: dict[int, Refusal], waiting: dict[int, Anywhere]) -> dict[int, Result]:
        """The refusals, but for those who have their seats already: no seats are left because they have them."""
        results: dict[int, Result] = dict(refused)
        ids = {waiting[i].hold.reservation_id: i for i in refused if waiting[i].may_be_repeated}
        if ids and not self._partitions_apart:
            concert = waiting[next(iter(refused))].concert
            anywhere = SectionKey(concert.id, concert.sections[0].id).partition
            found = await RESERVATIONS.load(self._records, ids, partition=anywhere)
            for i in refused:
                before = found.get(waiting[i].hold.reservation_id)
                if before is not None:
                    results[i] = _held_before(before.state, concert, self._clock.now())
        return results

    # Where partitions are apart, two who ask for one order at once could hold seats in two sections. So there the
    # section is chosen first, for good, in a record of the order's own.

    async def _hold_where_chosen(self, room: Room, wanted: dict[int, Anywhere]) -> dict[int, Result]:
        """Hold seats in the section that was chosen when an order was asked for first.

        It is never another one later, though that one fill up in the same moment.
        """
        sections, refused = await self._chosen(room, wanted)
        results: dict[int, Result] = dict(refused)
        by_section: dict[str, list[int]] = {}
        for i, section in sections.items():
            by_section.setdefault(section, []).append(i)
        for section, ids in by_section.items():
            held = await self._ask(room.concert, section, [wanted[i] for i in ids])
            for i, result in zip(ids, held, strict=True):
                results[i] = result
                if isinstance(result, SeatsUnavailable):
                    id, now = wanted[i].hold.reservation_id, self._clock.now()
                    results[i] = await unless_held(result, self._records, room.concert, section, id, now)
        for i, each in wanted.items():
            if i not in results:
                results[i] = Busy(
                    f"Reservation {each.hold.reservation_id!r} is being made by too many requests at once."
                )
        return results

    async def _chosen(self, room: Room, wanted: dict[int, Anywhere]) -> tuple[dict[int, str], dict[int, Refusal]]:
        """The section of each, chosen before or now; and why some have none. Those with neither met conflicts only."""
        sections, refused = await self._chosen_before(room.concert, wanted)
        waiting = {i: each for i, each in wanted.items() if i not in sections and i not in refused}
        places, none_left = await self._placed_surely(room, waiting)
        refused |= none_left
        choices = {
            i: Choice(reservation_id=waiting[i].hold.reservation_id, concert_id=room.concert.id, section=section)
            for i, section in [(i, room.plans[place].id) for i, place in places.items()]
        }
        updated = await self._updates.update(
            [
                Change(CHOICES, each.reservation_id, partial(_unless_chosen, each), known=NEW)
                for each in choices.values()
            ]
        )
        for i, (_, known) in zip(choices, updated, strict=True):
            if known is not None:  # as it was chosen now, or meanwhile by another
                chosen: Choice = known.state
                if chosen.concert_id == room.concert.id:
                    sections[i] = chosen.section
                else:
                    refused[i] = HeldElsewhere(chosen.reservation_id, concert_id=chosen.concert_id)
        return sections, refused

    async def _chosen_before(
        self, concert: Concert, waiting: dict[int, Anywhere]
    ) -> tuple[dict[int, str], dict[int, Refusal]]:
        """The section of each order that has one already; and those that have seats of another concert."""
        ids = [each.hold.reservation_id for each in waiting.values()]
        choices = await CHOICES.load(self._records, ids)
        # A request for one section by name needs no choice: its reservation is looked for where it can be.
        partitions = [SectionKey(concert.id, plan.id).partition for plan in concert.sections]
        unchosen = [id for id in ids if id not in choices]
        stored = await self._records.get(RESERVATIONS.kind, [Key(p, id) for p in partitions for id in unchosen])
        sections: dict[int, str] = {}
        refused: dict[int, Refusal] = {}
        for i, each in waiting.items():
            id = each.hold.reservation_id
            if id in stored:
                sections[i] = RESERVATIONS.decode(stored[id].body).section
            elif id in choices and choices[id].state.concert_id != concert.id:
                refused[i] = HeldElsewhere(id, concert_id=choices[id].state.concert_id)
            elif id in choices:
                sections[i] = choices[id].state.section
        return sections, refused

    async def _placed_surely(
        self, room: Room, waiting: dict[int, Anywhere]
    ) -> tuple[dict[int, int], dict[int, Refusal]]:
        """`_placed`, in sections that were looked at just now: a choice is for good."""
        seen: set[int] = set()
        places, refused = await self._placed(room, waiting, look=False)
        while not set(places.values()) <= seen:
            await self._look(room, sorted(set(places.values()) - seen))
            seen |= set(places.values())
            places, refused = await self._placed(room, waiting, look=False)
        return places, refused


def too_many_wait(_: str) -> Busy:
    """What a command queue that is full says to buyers."""
    return Busy("Too many requests wait for the same seats.")


async def unless_held(
    result: Result, records: Records, concert: Concert, section: str, reservation_id: str, now: datetime
) -> Result:
    """`result`, that the section has no seats left; unless that is because this very reservation has them."""
    partition = SectionKey(concert.id, section).partition
    found = await RESERVATIONS.load(records, (reservation_id,), partition=partition)
    return _held_before(found[reservation_id].state, concert, now) if reservation_id in found else result


def _held_before(before: Reservation, concert: Concert, now: datetime) -> Result:
    """What an order has that asks again: its seats, or why they are not its own any more."""
    if before.concert_id != concert.id:
        return HeldElsewhere(before.id, concert_id=before.concert_id)
    return Done(before, None) if before.is_live(now) else HoldEnded(before.id)


def _unless_chosen(choice: Choice, stored: Choice | None, _: datetime) -> Decision[Choice]:
    return Decision(stored or choice)


def _unavailable(room: Room, wanted: Anywhere, now: datetime) -> Refusal:
    sections = [room.section(place) for place in range(len(room.plans))]
    return unavailable(room.concert.id, sections, wanted=wanted.hold.quantity, now=now)
