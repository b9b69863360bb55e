"""Messages that come back: told once, shown, and sent again when the organizer asks."""

import pytest
from tests.product.services.notifications.conftest import World
from tests.product.services.notifications.test_notifications import delivered, paid

from cludale.ports.contacts import Contact
from cludale.ports.messengers import Trouble
from cludale.services.notifications.api import NotificationStatus
from cludale.services.notifications.domain import AlreadySent, Notification, Status
from cludale.services.notifications.events import NotificationBounced
from cludale.services.notifications.service import Notifications

ID = "confirmation-1"


async def sent(world: World) -> Notifications:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    service = world.notifications()
    await service.handle(delivered(paid(reachable=True)))
    await world.settled()
    return service


async def bounced(service: Notifications) -> Notification | None:
    return (await service.bounce({ID: "5.1.1"}))[ID]


async def told(world: World) -> list[str]:
    return [each.status for each in await world.events() if isinstance(each, NotificationBounced)]


async def test_a_message_that_came_back_is_told_of_once_and_can_be_sent_again(world: World) -> None:
    service = await sent(world)
    for _ in range(2):
        shown = await bounced(service)
        assert shown is not None
        assert NotificationStatus.of(shown) is NotificationStatus.BOUNCED
    assert (await told(world), service.bounced) == (["5.1.1"], 1)
    assert "zoe" not in repr(await world.events())
    await service.retry([ID])
    assert (await world.settled())[ID].status is Status.SENT
    assert len(world.mailer.sent) == 2
    with pytest.raises(AlreadySent):
        await service.retry([ID])
    await bounced(service)
    assert len(await told(world)) == 2


async def test_one_that_nobody_was_sent_did_not_come_back(world: World) -> None:
    service = world.notifications()
    await service.handle(delivered(paid()))
    shown = await bounced(service)
    assert shown is not None
    assert NotificationStatus.of(shown) is NotificationStatus.LOGGED
    assert (await service.bounce({"none-1": "5.0.0"}), await told(world)) == ({"none-1": None}, [])


async def test_one_that_a_server_took_without_an_answer_is_not_tried_again_once_it_came_back(world: World) -> None:
    world.mailer.refuses(Trouble.UNKNOWN)
    service = await sent(world)
    shown = await bounced(service)
    assert shown is not None
    assert (shown.status, shown.due_at, shown.detail) == (Status.FAILED, None, "it came back: 5.1.1")
    assert NotificationStatus.of(shown) is NotificationStatus.BOUNCED
