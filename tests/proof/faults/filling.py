"""`python -m tests.proof.faults.filling FOLDER ORDERS`: that many orders, brought to their end by the platform itself.

The services as they are put together for a server, called directly: HTTP would only cost time here.
"""

import asyncio
import sys
from itertools import islice, repeat
from pathlib import Path

import uvloop

from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import SectionPlan
from cludale.services.orders.order import OrderRequest
from cludale.wiring.platform import Platform
from cludale.wiring.settings import Settings

BUYERS = 512
EVENTS_AN_ORDER = 8
"""Of an order that goes well: placed, held, reserved, charged, sold, paid, told."""
PATIENCE_SECONDS = 600


async def fill(folder: Path, orders: int) -> None:
    """Sell so many single tickets of the concert `full`."""
    platform = Platform(Settings(data_dir=folder))
    await platform.start()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await platform.concerts.directory.schedule(concert(), Cause())
            turns = islice(repeat(None), orders)
            await asyncio.gather(*(_buy(platform, turns) for _ in range(BUYERS)))
            while platform.relay.lag:  # noqa: ASYNC110 - what is waited for has no event to wait on
                await asyncio.sleep(0.05)
    finally:
        await platform.stop()


def concert() -> Concert:
    """A concert that nobody can sell out."""
    section = SectionPlan(id="main", name="Main", total_seats=1_000_000, price=Money(4500, "EUR"))
    return Concert(
        id="full",
        artist="The Paper Lanterns",
        date="2099-06-05",
        venue=None,
        sections=(section,),
        on_sale_at=None,
        max_per_order=8,
    )


async def _buy(platform: Platform, turns: "islice[None]") -> None:
    for _ in turns:
        while True:
            try:
                await platform.orders.place(OrderRequest(concert_id="full", user_id="one", quantity=1), cause=Cause())
            except Busy:
                await asyncio.sleep(0.05)
            else:
                break


if __name__ == "__main__":
    uvloop.run(fill(Path(sys.argv[1]), int(sys.argv[2])))
