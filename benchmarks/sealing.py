"""What sealing a buyer's address costs: CPU of this process, in microseconds, the least of several rounds.

    python -m benchmarks.sealing

Orders are committed as they are placed, 32 at once, with the record of what is sealed and without it, in turns.
A search by name opens what is sealed of each order of a concert.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time

import msgspec

from cludale.adapters.ciphers import AeadSeals
from cludale.adapters.sqlite import SqliteStore
from cludale.adapters.system.clock import SystemClock, SystemIds
from cludale.kernel.wire import Codec
from cludale.ports.records import Commit
from cludale.runtime.aggregates import Updates
from cludale.services.catalogue import CATALOGUE, KINDS
from cludale.services.orders import domain
from cludale.services.orders.order import Order, OrderRequest
from cludale.services.orders.privacy.domain import Particulars, packed, words
from cludale.services.orders.privacy.service import Privacy
from cludale.services.orders.store import ORDERS, listed

_AT_ONCE = 32
_PAGE = 200
_TIMES = 5_000


def _orders(count: int) -> list[tuple[Order, Particulars]]:
    made = []
    for n in range(count):
        email, phone = f"buyer{n}@example.org", f"+49170{n:07}"
        wanted = OrderRequest(concert_id="c-1", user_id=f"user-{n}", quantity=1, email=email, phone=phone)
        placed = domain.place(wanted, order_id=f"order-{n:032x}", now=SystemClock().now())
        made.append((placed.state, Particulars(email, phone)))
    return made


async def _committed(orders: Sequence[tuple[Order, Particulars]], *, sealed: bool) -> float:
    """Microseconds of CPU an order."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "store.db", KINDS, Codec(CATALOGUE))
        updates = Updates("orders", store, clock=SystemClock(), ids=SystemIds())
        privacy = Privacy(updates, AeadSeals("the-master-key"))
        began = process_time()
        for at in range(0, len(orders), _AT_ONCE):
            commits = []
            for order, left in orders[at : at + _AT_ONCE]:
                along = (privacy.put(order, left),) if sealed else ()
                commits.append(Commit(ORDERS.partition(order.id), (ORDERS.put(order, 0), *along)))
            await asyncio.gather(*(store.commit([each]) for each in commits))
        await store.close()
        return (process_time() - began) / len(orders) * 1e6


async def _searched(count: int) -> float:
    """Microseconds of CPU an order, where so many are searched for a name, page by page."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "store.db", KINDS, Codec(CATALOGUE))
        privacy = Privacy(Updates("orders", store, clock=SystemClock(), ids=SystemIds()), AeadSeals("the-master-key"))
        for number, (order, left) in enumerate(_orders(count)):
            named = msgspec.structs.replace(left, name=f"Zoë Müller {number}")
            await store.commit([Commit(ORDERS.partition(order.id), (ORDERS.put(order, 0), privacy.put(order, named)))])
        began, after, found = process_time(), None, 0
        while True:
            page, at = await ORDERS.find(store, listed(concert_id="c-1", status=None, after=after, limit=_PAGE))
            found += len(await privacy.named([each.state for each in page], words("muller zoe 17")))
            after = at.next
            if after is None:
                break
        took = process_time() - began
        await store.close()
        if not found:
            raise RuntimeError("nobody was found")
        return took / count * 1e6


def _each(what: Callable[[], object]) -> float:
    began = process_time()
    for _ in range(_TIMES):
        what()
    return (process_time() - began) / _TIMES * 1e6


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sealing", description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=3_000, help="in a round (3000)")
    parser.add_argument("--rounds", type=int, default=6, help="(6)")
    options = parser.parse_args()
    seals, data = AeadSeals("the-master-key"), packed(Particulars("buyer@example.org", "+491701234567"))
    sealed = seals.seal(data, "order-1")
    parts = {
        "sealing": lambda: seals.seal(data, "order-1"),
        "the hash": lambda: seals.digest("buyer@example.org"),
        "opening": lambda: seals.open(sealed, "order-1"),
    }
    for name, what in parts.items():
        print(f"{name}: {min(_each(what) for _ in range(options.rounds)):.1f} µs")
    searched = min(asyncio.run(_searched(options.orders)) for _ in range(options.rounds))
    print(f"a search by name, for each order that is looked at: {searched:.0f} µs")
    orders = _orders(options.orders)
    least = {True: float("inf"), False: float("inf")}
    for _ in range(options.rounds):
        for with_record in (True, False):
            took = asyncio.run(_committed(orders, sealed=with_record))
            least[with_record] = min(least[with_record], took)
    print(f"an order committed without: {least[False]:.0f} µs; with its sealed record: {least[True]:.0f} µs")


if __name__ == "__main__":
    main()
