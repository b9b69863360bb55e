"""How fast all orders of a concert that is called off are cancelled and refunded, embedded.

    python -m benchmarks.calling_off --orders 50000

One process with everything over SQLite in a folder of its own. The orders are placed and paid first; then the concert
is called off, and the clock runs until the money of each is back.
"""

import argparse
import asyncio
import tempfile
from time import perf_counter, process_time

from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.ports.calling_off import JobStatus
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import SectionPlan
from cludale.services.orders.order import OrderRequest, Status
from cludale.services.orders.store import listed
from cludale.wiring.platform import Platform
from cludale.wiring.settings import Settings

AT_ONCE = 64


async def _place(platform: Platform, count: int) -> None:
    numbers = iter(range(count))

    async def buyer() -> None:
        for number in numbers:
            request = OrderRequest(concert_id="off", user_id=f"user-{number}", quantity=1)
            await platform.orders.place(request, cause=Cause())

    await asyncio.gather(*(buyer() for _ in range(AT_ONCE)))
    for status in (Status.PENDING, Status.RESERVED):
        while (await platform.orders.finder.find(listed(concert_id="off", status=status, after=None, limit=1)))[0]:  # noqa: ASYNC110 - it is in the store
            await asyncio.sleep(0.2)


async def _run(count: int, rate: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_env({"CLUDALE_DATA_DIR": folder, "CLUDALE_CALL_OFF_RATE": str(rate)})
        platform = Platform(settings)
        await platform.start()
        plan = SectionPlan(id="general", name="General", total_seats=count, price=Money(4500, "EUR"))
        concert = Concert(
            id="off", artist="Nobody", date="2031-06-05", venue=None, sections=(plan,), on_sale_at=None, max_per_order=8
        )
        await platform.concerts.directory.schedule(concert, Cause())
        began = perf_counter()
        await _place(platform, count)
        print(f"{count} orders paid in {perf_counter() - began:.1f} s", flush=True)
        began, cpu = perf_counter(), process_time()
        await platform.concerts.changes.call_off("off", reason="the power is out", by="first", cause=Cause())
        progress = None
        while progress is None or progress.status is not JobStatus.DONE:
            await asyncio.sleep(0.1)
            progress = await platform.concerts.changes.progress("off")
        took, used = perf_counter() - began, process_time() - cpu
        print(f"{progress.refunded} of {progress.total} refunded, {progress.failed} failed")
        print(f"all money back after {took:.1f} s: {count / took:.0f} a second, {used / count * 1e6:.0f} us of CPU")
        await platform.stop()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=50_000)
    parser.add_argument("--rate", type=float, default=1_000, help="CLUDALE_CALL_OFF_RATE")
    asked = parser.parse_args()
    asyncio.run(_run(asked.orders, asked.rate))


if __name__ == "__main__":
    main()
