"""The servers that events are posted to in the simulator say what was promised to them and not kept."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from tests.fakes import NOON
from tests.proof.simulator.test_parts import chaos, simulated

from cludale.kernel.events import Cause, Event, envelop
from cludale.kernel.wire import Codec
from cludale.services.catalogue import CATALOGUE
from cludale.services.notifications.events import WebhookStopped, WebhookStopReason
from cludale.services.notifications.webhooks.service import Webhooks
from cludale.services.notifications.webhooks.store import KINDS
from cludale_proof.simulator.memory import Disk
from cludale_proof.simulator.receivers import ENDS, GONE_AFTER, GRACE_SECONDS, Receivers

STOPPED = WebhookStopped(
    webhook_id="webhook-2", organizer="default", webhook_revision=2, reason=WebhookStopReason.GONE, stops=1
)


async def made(_: Callable[[Webhooks], Awaitable[Any]]) -> Any:
    return SimpleNamespace(endpoint=SimpleNamespace(id="webhook-1"), secrets=SimpleNamespace(hmac="whsec_"))


def happens(receivers: Receivers, event: Event) -> None:
    receivers.happened(envelop(event, id="event-1", source="notifications", time=NOON, cause=Cause()))


def with_one_that_has_enough(work: Callable[[Receivers, list[str]], Awaitable[None]]) -> None:
    async def play() -> None:
        wrong: list[str] = []
        receivers = Receivers(chaos(), Codec(CATALOGUE), wrong.append)
        await receivers.come(made)
        for n in range(GONE_AFTER + 1):
            answered = await receivers.post(ENDS, b"{}", {"webhook-id": f"message-{n}"})
        assert answered.status == 410
        await work(receivers, wrong)

    simulated(play)


async def wait_and_post(receivers: Receivers) -> None:
    await asyncio.sleep(GRACE_SECONDS + 1)
    await receivers.post(ENDS, b"{}", {"webhook-id": "message-0"})


def test_who_answered_410_may_be_asked_again_while_that_could_not_be_stored() -> None:
    async def work(receivers: Receivers, wrong: list[str]) -> None:
        await wait_and_post(receivers)
        happens(receivers, STOPPED)
        assert wrong == []
        assert receivers.missed(Disk(KINDS, Codec(CATALOGUE))) == []

    with_one_that_has_enough(work)


def test_who_is_asked_again_once_it_is_stored_that_they_answered_410_is_found() -> None:
    async def work(receivers: Receivers, wrong: list[str]) -> None:
        happens(receivers, STOPPED)
        await wait_and_post(receivers)
        assert wrong == ["message-0 is posted to https://ends.example/, which was stopped 13.0 s ago"]

    with_one_that_has_enough(work)


def test_who_answered_410_and_is_never_stopped_is_found() -> None:
    async def work(receivers: Receivers, _: list[str]) -> None:
        (found,) = receivers.missed(Disk(KINDS, Codec(CATALOGUE)))
        assert found.endswith("and is not stopped")

    with_one_that_has_enough(work)
