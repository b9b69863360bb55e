"""Dead letters in a store whose server has not started yet."""

from pathlib import Path

from cludale.adapters.sqlite import SqliteStore
from cludale.adapters.system.clock import SystemClock
from cludale.kernel.wire import Codec
from cludale.runtime.dead_letters import DeadLetters
from cludale.services.catalogue import CATALOGUE, KINDS

BODY = b'{"specversion":"1.0","id":"event-1","type":"OrderPaid","data":{}}'


async def bury(folder: Path) -> None:
    """One with orders, and one with notifications."""
    store = SqliteStore(folder / "cludale.db", KINDS, Codec(CATALOGUE))
    letters = DeadLetters(store, SystemClock())
    for service in ("orders", "notifications"):
        await letters.bury(
            service, BODY, event_type="OrderPaid", event_id="event-1", reason="its handler broke", attempts=20
        )
    await store.close()
