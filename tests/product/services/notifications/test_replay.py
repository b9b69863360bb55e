"""What was sent can be told from the log; what was only tried can't, and isn't compared."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tests.product.services.notifications.conftest import CODEC, World
from tests.product.services.notifications.test_notifications import cancelled, delivered, paid

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.events import Envelope
from cludale.ports.contacts import Contact
from cludale.ports.messengers import Trouble
from cludale.runtime.replay import Rebuild
from cludale.services.notifications.replay import NotificationsReplay
from cludale.services.notifications.store import KINDS


class PublishedLog:
    """The events that a world's notifications published."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def read(self) -> AsyncIterator[Sequence[Envelope]]:
        yield [CODEC.decode(entry.body) for entry in await self._world.records.pending(0, 1000)]


async def test_the_log_gives_the_notifications_that_were_sent(world: World, tmp_path: Path) -> None:
    world.contacts.known |= {"order-2": Contact(email="zoe@example.org"), "order-3": Contact(phone="+3161234567")}
    world.texts.refuses(Trouble.REFUSED)
    service = world.notifications()
    await service.handle(
        delivered(
            paid(), cancelled(was_paid=True), paid("order-2", reachable=True), cancelled("order-3", reachable=True)
        )
    )
    assert len(await world.settled()) == 4
    into = SqliteStore(tmp_path / "rebuilt.db", KINDS, CODEC)
    rebuild = Rebuild(PublishedLog(world), [NotificationsReplay()], into)
    await rebuild.run()
    assert await rebuild.counts() == {"notifications/notification": 3, "notifications/webhook": 0}
    assert await rebuild.compare(world.records, settle_rounds=0) == []
    await into.close()
