"""A platform of its own for a test, with a concert and a buyer."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.services import NAMES
from cludale.services.audit.service import Audit
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import SectionPlan
from cludale.services.orders.order import Order, OrderRequest
from cludale.wiring.platform import Platform
from cludale.wiring.settings import Settings

REQUEST = Cause()
ELSEWHERE = {"concerts_url": "http://127.0.0.1:9", "orders_url": "http://127.0.0.1:9"}
BEHIND_A_SIDECAR = {"dapr": True, "app_api_token": "shown-to-the-app", "dapr_http_port": 9}


def settings(folder: Path, **changes: object) -> Settings:
    known = {
        "data_dir": folder,
        "sweep_seconds": 0.05,
        "payment_attempt_seconds": 0.3,
        "organizer_key": "organizer",
    } | changes
    return Settings(**known)  # type: ignore[arg-type] # the caller's are of the right types


@asynccontextmanager
async def running(folder: Path, only: Collection[str] = NAMES, **changes: object) -> AsyncIterator[Platform]:
    platform = Platform(settings(folder, **changes), only)
    try:
        await platform.start()
        yield platform
    finally:
        await platform.stop()


async def put_on(platform: Platform, seats: int = 10) -> None:
    plan = SectionPlan(id="stalls", name="Stalls", total_seats=seats, price=Money(4500, "EUR"))
    concert = Concert(
        id="concert-1",
        artist="The Larks",
        date="2027-06-05",
        venue=None,
        sections=(plan,),
        on_sale_at=None,
        max_per_order=8,
    )
    await platform.concerts.directory.schedule(concert, REQUEST)


async def buy(platform: Platform, quantity: int = 2, method: str = "card-ok") -> Order:
    wanted = OrderRequest(concert_id="concert-1", user_id="user-1", quantity=quantity, payment_method=method)
    return await platform.orders.place(wanted, cause=REQUEST)


async def story(platform: Platform, order: Order) -> list[str]:
    entries = await Audit(platform.store, platform.clock).story(order.id)
    return [entry.event_type for entry in entries]
