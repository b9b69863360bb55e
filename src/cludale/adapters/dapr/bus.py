"""DaprBus: the EventBus over a sidecar, whatever broker its component file names."""

import base64
from collections.abc import Sequence

import msgspec

from cludale.adapters.dapr.inbound import Inbound
from cludale.adapters.dapr.publisher import Publisher
from cludale.adapters.dapr.sidecar import Sidecar, SidecarAway
from cludale.adapters.dapr.subscriptions import EVENTS_PATH
from cludale.kernel.events import Catalogue
from cludale.ports.bus import Acknowledgement, Delivery, Subscription
from cludale.ports.outbox import Outgoing

REDELIVER_SECONDS = 30.0


class _Entry(msgspec.Struct, rename="camel"):
    entry_id: str
    event: str


class _Bulk(msgspec.Struct):
    entries: list[_Entry]


class _Status(msgspec.Struct, rename="camel"):
    entry_id: str
    status: Acknowledgement


class _Statuses(msgspec.Struct):
    statuses: list[_Status]


class DaprBus:
    """Publishes to the broker, and delivers what comes from it."""

    def __init__(self, sidecar: Sidecar, publisher: Publisher, inbound: Inbound, catalogue: Catalogue) -> None:
        self._sidecar = sidecar
        self.publisher = publisher
        self._inbound = inbound
        self._catalogue = catalogue

    def start(self, subscriptions: Sequence[Subscription]) -> None:
        """Deliver to these, as soon as the sidecar subscribes for them."""
        self._inbound.start(subscriptions)

    async def stop(self) -> None:
        """Finish what the handlers have begun; what has no answer is delivered again by the broker."""
        await self._inbound.stop()

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[bool]:
        """For each entry: has the broker taken it?"""
        return await self.publisher.publish(batch)

    async def deliver(self, service: str, deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        """Hand these to one service once more, now: here, or by a call to where it runs. Raises SidecarAway."""
        here = self._inbound.consumers.subscriptions.get(service)
        if here is not None:
            return await here.handler(deliveries)
        by_topic: dict[str, list[int]] = {}
        for at, delivery in enumerate(deliveries):
            by_topic.setdefault(self._catalogue.topic_of(delivery.event.type).name, []).append(at)
        answers = [Acknowledgement.RETRY] * len(deliveries)
        for topic, positions in by_topic.items():
            bulk = _Bulk([_Entry(str(at), base64.b64encode(deliveries[at].body).decode()) for at in positions])
            answer = await self._sidecar.ask(
                "POST",
                EVENTS_PATH + topic,
                msgspec.json.encode(bulk),
                headers={"dapr-app-id": service},
                timeout_seconds=REDELIVER_SECONDS,
                repeatable=True,  # a service knows what it has handled
            )
            if answer.status != 200:
                raise SidecarAway(f"{service} answered {answer.status} to events delivered again")
            for status in msgspec.json.decode(answer.body, type=_Statuses).statuses:
                answers[int(status.entry_id)] = status.status
        return answers

    @property
    def depths(self) -> dict[str, int]:
        """Events waiting for each service."""
        return self._inbound.depths
