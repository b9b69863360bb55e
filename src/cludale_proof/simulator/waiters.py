"""Those who wait: they join waiting lists, leave them, take what they are offered, or let it lapse."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from cludale.services.concerts.codes.api import CreateCode
from cludale.services.concerts.scheduling import ScheduleConcert
from cludale.services.orders.api import PayAgain, PlaceOrder
from cludale.services.orders.events import CancelReason
from cludale_proof.simulator.client import SimulatedClient
from cludale_proof.simulator.pricing import NewCode


class Waiter(NamedTuple):
    """Somebody who joins a list."""

    at: float
    wanted: PlaceOrder
    key: str
    looks: Sequence[float]
    """When they look how it stands, and take what they are offered, if they take it."""
    takes: bool
    leaves_after: float
    """They give up in the end."""


def waiters_of(choices: random.Random, concerts: Sequence[ScheduleConcert], span: float) -> list[Waiter]:
    """A few of them, who want what all want."""
    found = []
    for number in range(choices.randint(2, 10)):
        concert = choices.choice(concerts)
        wanted = PlaceOrder(
            concert_id=concert.id or "",
            user_id=f"waiter-{number}",
            quantity=choices.randint(1, concert.max_per_order or 2),
            section=choices.choice(concert.sections or ()).id,
            email="waiter@example.org",
            waiting_list=True,
        )
        looks = sorted(choices.uniform(0.5, 12.0) for _ in range(choices.randint(1, 4)))
        leaves = choices.choice((choices.uniform(0.1, 3.0), choices.uniform(8.0, 20.0)))
        at = choices.uniform(0.0, span)
        found.append(Waiter(at, wanted, f"waiter-{number}", looks, choices.random() < 0.7, leaves))
    return found


def with_few_each(choices: random.Random, concerts: Sequence[ScheduleConcert]) -> list[ScheduleConcert]:
    """Some concerts say how long an offer lasts, and in some scenes all of them how many tickets one buyer may have."""
    asked = [replace(each, offer_minutes=1) if choices.random() < 0.3 else each for each in concerts]
    if choices.random() < 0.5:
        return asked
    return [replace(each, max_per_buyer=each.max_per_buyer or choices.choice((1, 2, 3))) for each in asked]


def with_codes(
    choices: random.Random, codes: Sequence[NewCode], waiters: Sequence[Waiter]
) -> tuple[Sequence[NewCode], Sequence[Waiter]]:
    """In some scenes those who wait have a code, which not all of them can use."""
    if choices.random() < 0.5:
        return codes, waiters
    made: dict[str, NewCode] = {each.concert_id: each for each in codes}
    coded: list[Waiter] = []
    for waiter in waiters:
        wanted = waiter.wanted
        code = CreateCode(code="WAITED", percent=choices.choice((10.0, 100.0)), max_uses=choices.choice((1, 2)))
        known = made.setdefault(wanted.concert_id, NewCode(wanted.concert_id, code))
        uses_it = choices.random() < 0.7
        coded.append(waiter._replace(wanted=replace(wanted, code=known.wanted.code)) if uses_it else waiter)
    return [*codes, *(each for each in made.values() if each not in codes)], coded


class Waiters:
    """All who wait."""

    def __init__(self, client: SimulatedClient) -> None:
        self._client = client

    def all_come(self, waiters: Sequence[Waiter], begin: Callable[[Awaitable[None]], None]) -> None:
        """Let them come, each at their time."""
        for waiter in waiters:
            begin(self.come(waiter))

    async def come(self, waiter: Waiter) -> None:
        """One of them: whoever still waits in the end gives it up."""
        await asyncio.sleep(waiter.at)
        order_id = await self._join(waiter)
        if order_id is None:
            return
        begun = asyncio.get_running_loop().time()
        for look in waiter.looks:
            if look >= waiter.leaves_after:
                break
            await asyncio.sleep(max(0.0, begun + look - asyncio.get_running_loop().time()))
            if await self._takes_offer(waiter, order_id):
                return
        await asyncio.sleep(max(0.0, begun + waiter.leaves_after - asyncio.get_running_loop().time()))
        # Nobody waits for ever: what is not over then is found to be under way.
        await self._client.insist(lambda: self._client.cancel("waiter", order_id, CancelReason.BUYER), attempts=12)

    async def _join(self, waiter: Waiter) -> str | None:
        told = await self._client.insist(
            lambda: self._client.ask("waiter", "POST", "/orders", waiter.wanted, waiter.key), attempts=8
        )
        return told.json["id"] if told.status in (201, 202) else None

    async def _takes_offer(self, waiter: Waiter, order_id: str) -> bool:
        """Was something offered, and taken? Then payment and sale go their way."""
        if not waiter.takes:
            return False
        told = await self._client.ask(
            "waiter", "POST", "/orders/{order_id}/payment", PayAgain(payment_method="card-ok"), of=order_id
        )
        return told.status == 202
