"""Sponsors: seats are held back for them, grow and shrink, are sold out of their blocks, and go by rule or by hand."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

import msgspec

from cludale.kernel.tills import TillMethod
from cludale.kernel.times import rfc3339
from cludale.services.concerts.blocks.api import ChangeBlockOf, HoldSeatsBack, ReleaseBlock
from cludale.services.concerts.scheduling import ScheduleConcert
from cludale.services.orders.box_office_api import SellAtBoxOffice
from cludale_proof.simulator.client import RequestOutcome, SimulatedClient
from cludale_proof.simulator.clock import MORNING

_BLOCKS = "/concerts/{concert_id}/blocks"


class Sponsor(NamedTuple):
    """What becomes of one block."""

    at: float
    concert_id: str
    wanted: HoldSeatsBack
    key: str
    sales: Sequence[tuple[float, int]]
    """After how many seconds how many seats are wanted out of it."""
    changed: tuple[float, int] | None
    released_after: float | None


def sponsors_of(choices: random.Random, concerts: Sequence[ScheduleConcert], span: float) -> list[Sponsor]:
    """A few of them."""
    found = []
    for number in range(choices.randint(1, 4)):
        concert = choices.choice(concerts)
        section = choices.choice(concert.sections or ())
        at = choices.uniform(0.0, span)
        seats = choices.randint(1, max(1, (section.total_seats or 0) // 2))
        ends = MORNING + timedelta(seconds=at + choices.choice((1.0, 4.0, 30.0)))
        wanted = HoldSeatsBack(
            section=section.id,
            seats=seats,
            purpose="Sponsors",
            ends_at=rfc3339(ends),
            few_left=choices.choice((None, None, 1, 2, 3)),
        )
        sales = [(choices.uniform(0.0, 5.0), choices.randint(1, 3)) for _ in range(choices.randint(0, 3))]
        changed = (choices.uniform(0.0, 3.0), choices.randint(1, seats + 2)) if choices.random() < 0.4 else None
        released = choices.uniform(0.0, 6.0) if choices.random() < 0.4 else None
        found.append(Sponsor(at, concert.id or "", wanted, f"block-{number}", sales, changed, released))
    return found


class Sponsors:
    """Those who hold seats back and sell out of blocks."""

    def __init__(self, client: SimulatedClient) -> None:
        self._client = client

    def all_come(self, sponsors: Sequence[Sponsor], begin: Callable[[Awaitable[None]], None]) -> None:
        """Let them come, each at their time."""
        for sponsor in sponsors:
            begin(self.come(sponsor))

    async def come(self, sponsor: Sponsor) -> None:
        """One of them, from the beginning to the end."""
        await asyncio.sleep(sponsor.at)
        told = await self._ask(sponsor, "POST", _BLOCKS, sponsor.wanted, sponsor.key, attempts=5)
        if told.status != 201:
            return
        block: str = told.json["id"]
        doing = [self._sell(sponsor, block, *sale, number) for number, sale in enumerate(sponsor.sales)]
        if sponsor.changed is not None:
            doing.append(self._change(sponsor, block, *sponsor.changed))
        if sponsor.released_after is not None:
            # Twice, as somebody does who got no answer, or two people who do not know of each other.
            doing += [self._release(sponsor, block, sponsor.released_after) for _ in range(2)]
        await asyncio.gather(*doing)

    async def _sell(self, sponsor: Sponsor, block: str, after: float, quantity: int, number: int) -> None:
        await asyncio.sleep(after)
        wanted = SellAtBoxOffice(
            concert_id=sponsor.concert_id,
            quantity=quantity,
            method=TillMethod.COMPLIMENTARY,
            reason="Sponsors",
            any_time=True,
            block=block,
            user_id="sponsor",
        )
        key = f"{sponsor.key}-{number}"
        await self._client.insist(
            lambda: self._client.ask("sponsor", "POST", "/orders/box-office", wanted, key), attempts=4
        )

    async def _change(self, sponsor: Sponsor, block: str, after: float, seats: int) -> None:
        await asyncio.sleep(after)
        await self._ask(sponsor, "PATCH", _BLOCKS, ChangeBlockOf(block=block, seats=seats), attempts=3)

    async def _release(self, sponsor: Sponsor, block: str, after: float) -> None:
        await asyncio.sleep(after)
        await self._ask(sponsor, "POST", f"{_BLOCKS}/release", ReleaseBlock(block=block), attempts=4)

    async def _ask(
        self,
        sponsor: Sponsor,
        method: str,
        path: str,
        wanted: msgspec.Struct,
        key: str | None = None,
        *,
        attempts: int,
    ) -> RequestOutcome:
        return await self._client.insist(
            lambda: self._client.ask("organizer", method, path, wanted, key, of=sponsor.concert_id), attempts=attempts
        )
