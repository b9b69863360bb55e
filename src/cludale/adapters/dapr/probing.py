"""Does the broker take events? Asked through the sidecar, with an event that waits, or with one that says nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from uuid import uuid4

import msgspec

from cludale.adapters.dapr.publisher import PUBLISH_SECONDS, Publisher
from cludale.adapters.dapr.sidecar import Sidecar, SidecarAway
from cludale.kernel.wire import JSON as CLOUDEVENT
from cludale.ports.outbox import Outgoing

PROBES = "probes"
"""A topic of its own. Nobody hears it; the broker keeps the last event of it."""
_OWN_TOPIC = ("pubsub.rabbitmq", "pubsub.jetstream")
"""Components of brokers that have the topic. Elsewhere a send costs money, and the events that wait are asked."""
_NO_SUCH_TOPIC = ("no queue for", "no response from stream", "no responders", "no stream matches")
_BREAKER = "circuit breaker"


class BrokerTakesNothing(Exception):
    """The broker has not taken what was published; the message says why."""


class _Problem(msgspec.Struct):
    message: str = ""


_read_problem = msgspec.json.Decoder(_Problem).decode


class BrokerProbe:
    """Probes the broker of one pub/sub component."""

    def __init__(self, sidecar: Sidecar, publisher: Publisher, pubsub: str) -> None:
        self._sidecar = sidecar
        self._publisher = publisher
        self._pubsub = pubsub
        self._has_topic: bool | None = None
        self._why = ""

    async def probe(self) -> None:
        """Publish something. Raises BrokerTakesNothing, SidecarAway."""
        stuck = self._publisher.stuck()
        refused = [topic for topic, gone in zip(stuck, await self._try_all(stuck), strict=True) if not gone]
        if refused:
            raise BrokerTakesNothing(self._reason(f"{self._publisher.why} (topic {', '.join(refused)})"))
        if not stuck and self._has_topic is not False:
            await self._publish_probe()

    async def _try_all(self, stuck: Mapping[str, Sequence[Outgoing]]) -> Sequence[bool]:
        """For each topic: is one of its events taken by now? Whoever hears an event knows it by its id."""
        return await asyncio.gather(*(self._try(topic, events) for topic, events in stuck.items()))

    async def _try(self, topic: str, events: Sequence[Outgoing]) -> bool:
        for event in events:
            if any(await self._publisher.send(topic, [event])):
                return True
        return False

    async def _publish_probe(self) -> None:
        if self._has_topic is None:
            component = (await self._sidecar.components()).get(self._pubsub, "")
            if not component.startswith(_OWN_TOPIC):
                self._has_topic = False
                return
        event = {"specversion": "1.0", "id": str(uuid4()), "type": "Probe", "source": "readiness"}
        answer = await self._sidecar.ask(
            "POST",
            f"/v1.0/publish/{self._pubsub}/{PROBES}?metadata.rawPayload=true",
            msgspec.json.encode(event),
            headers={"content-type": CLOUDEVENT},
            timeout_seconds=PUBLISH_SECONDS,
            repeatable=True,
        )
        if 200 <= answer.status < 300:
            self._has_topic = True
            return
        try:
            said = _read_problem(answer.body).message
        except msgspec.MsgspecError:
            said = answer.body[:300].decode(errors="replace")
        if self._has_topic is None and any(words in said for words in _NO_SUCH_TOPIC):
            self._has_topic = False  # made by an older release: events that wait will tell
            return
        raise BrokerTakesNothing(self._reason(said or f"the sidecar answered {answer.status}"))

    def _reason(self, said: str) -> str:
        """The reason without the sidecar's words around it. Its breaker, once open, only hides the reason."""
        why = said.rpartition(f"in pubsub {self._pubsub}: ")[2].partition("\n")[0]
        if _BREAKER not in why or not self._why:
            self._why = why
        return self._why


class SidecarProbe:
    """Probes the sidecar itself."""

    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar = sidecar

    async def probe(self) -> None:
        """Ask whether it and its components are up. Raises SidecarAway."""
        if not await self._sidecar.is_healthy():
            raise SidecarAway("it gives no answer, or says that it is not healthy")
