"""Events to topics, in bulks. While many come, a topic's bulks lie a moment apart (ADR 100); a few go at once.

Events are published as they are (`rawPayload`): byte for byte what was committed, a CloudEvent of ours with its own
id and trace. Dapr would otherwise take it apart, put it together in another order and add fields of its own.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from cludale.adapters.dapr.sidecar import Sidecar, SidecarAway
from cludale.kernel.wire import JSON as CLOUDEVENT
from cludale.ports.outbox import Outgoing
from cludale.runtime.batching import BatchingQueue
from cludale.runtime.readiness import Pulse
from cludale.web.http1 import ClientResponse

BULK_EVENTS = 250
BULK_BYTES = 512 * 1024
"""Far below the sidecar's 4 MiB. Brokers that want less take their own bulks apart."""
SERVICE_BUS_BYTES = 96 * 1024
"""A bulk is one message batch there, at 128 KiB with what Azure adds to it, and goes or fails as one."""
BULKS_AT_ONCE = 4
"""A topic's requests at once; more of them only makes the bulks smaller."""
APART_SECONDS = 0.1
"""How long after a topic's bulk of `MANY` events or more its next one begins at the soonest. What comes meanwhile goes
together, and is one piece of work for sidecars, broker, those who hear it and the database."""
MANY = 10
WAITING_LIMIT = 40_000
"""Events that wait, of all topics; the relay has half as many under way."""
SINGLES_AT_ONCE = 16
PUBLISH_SECONDS = 20.0
"""Longer than the sidecar tries (resiliency.yaml); given up before, what it knows to be taken would be sent again."""

STUCK_EVENTS = 3
"""Events of a topic that are remembered when the broker has taken none of it."""

PLAIN = "text/plain"
"""What the event is within a bulk request: the one kind of content that Dapr passes on without a look at it."""

_BULKS = ("/v1.0/publish/bulk", "/v1.0-alpha1/publish/bulk")
_UNKNOWN = frozenset({400, 403, 404, 405, 501})
"""What a sidecar may answer that does not know the route; or the component, which the next way will tell."""

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class _Entry(msgspec.Struct, rename="camel", omit_defaults=True):
    entry_id: str
    event: str
    content_type: str
    metadata: Mapping[str, str] | None = None


class _Failed(msgspec.Struct, rename="camel"):
    entry_id: str
    error: str = ""


class _Failures(msgspec.Struct, rename="camel"):
    failed_entries: list[_Failed] = []


class _Head(msgspec.Struct):
    id: str
    type: str
    subject: str = ""
    correlationid: str | None = None
    traceparent: str | None = None


_read_failures = msgspec.json.Decoder(_Failures).decode
_read_head = msgspec.json.Decoder(_Head).decode


class Publisher:
    """Publishes through the sidecar to the topics of one pub/sub component."""

    def __init__(self, sidecar: Sidecar, pubsub: str, *, apart_seconds: float = APART_SECONDS) -> None:
        self._sidecar = sidecar
        self._pubsub = pubsub
        self._apart_seconds = apart_seconds
        self._queue: BatchingQueue[str, Outgoing, bool] = BatchingQueue(
            self._send_all,
            of="events",
            batch_limit=BULK_EVENTS,
            waiting_limit=WAITING_LIMIT,
            at_once=BULKS_AT_ONCE,
            gather=self._gather,
        )
        self._not_before: dict[str, float] = {}
        """By topic: when, by the event loop's clock, its next bulk may begin."""
        self._way: int | None = None
        """Which of the ways works: an index of `_BULKS`, or one past it for single events. None until one has."""
        self._is_service_bus: bool | None = None
        self._stuck: dict[str, dict[int, Outgoing]] = {}
        """By topic, while nothing of it is taken: events that were not, by position."""
        self.pulse = Pulse()
        self.why = ""
        """Why something was not taken last."""

    @property
    def bulk_bytes(self) -> int:
        """How large a bulk may be."""
        return SERVICE_BUS_BYTES if self._is_service_bus else BULK_BYTES

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[bool]:
        """For each entry: has the broker taken it?"""
        if not batch:
            return []
        if self._is_service_bus is None:
            try:
                components = await self._sidecar.components()
            except SidecarAway as away:
                _log.warning("%d events wait: %s", len(batch), away)
                return [False] * len(batch)
            self._is_service_bus = "azure.servicebus" in components.get(self._pubsub, "")
        by_topic: dict[str, list[int]] = {}
        for at, entry in enumerate(batch):
            by_topic.setdefault(entry.topic, []).append(at)
        parts = [
            (topic, places[at : at + BULK_EVENTS])
            for topic, places in by_topic.items()
            for at in range(0, len(places), BULK_EVENTS)
        ]
        answers = await asyncio.gather(
            *(self._queue.submit(topic, [batch[at] for at in places]) for topic, places in parts),
            return_exceptions=True,
        )
        taken = [False] * len(batch)
        for (topic, places), answer in zip(parts, answers, strict=True):
            if isinstance(answer, BaseException):
                _log.error("publishing to %s failed: %r", topic, answer, exc_info=answer)
                continue
            for at, is_taken in zip(places, answer, strict=True):
                taken[at] = is_taken
        return taken

    async def _gather(self, topic: str) -> None:
        """Wait for more events of this topic, while many come and no whole bulk waits."""
        wait = self._not_before.get(topic, 0.0) - asyncio.get_running_loop().time()
        if wait > 0 and self._queue.waiting_for(topic) < BULK_EVENTS:
            await asyncio.sleep(wait)

    async def _send_all(self, topic: str, entries: Sequence[Outgoing]) -> Sequence[bool]:
        """In as few bulks as their size allows."""
        if len(entries) >= MANY:
            self._not_before[topic] = asyncio.get_running_loop().time() + self._apart_seconds
        taken: list[bool] = []
        for bulk in _bulks(entries, self.bulk_bytes):
            taken += await self.send(topic, bulk)
        return taken

    def stuck(self) -> Mapping[str, Sequence[Outgoing]]:
        """Topics of which nothing is taken now, with some of the events that wait.

        One event alone tells nothing of its topic: there may be something wrong with it.
        """
        return {topic: list(events.values()) for topic, events in self._stuck.items() if len(events) > 1}

    async def send(self, topic: str, bulk: Sequence[Outgoing]) -> Sequence[bool]:
        """One bulk, by the first way that works."""
        taken = await self._send(topic, bulk)
        if any(taken):
            self._stuck.pop(topic, None)
            self.pulse.worked()
        else:
            self.pulse.failed()
            stuck = self._stuck.setdefault(topic, {})
            for entry in bulk:
                if len(stuck) < STUCK_EVENTS:
                    stuck[entry.position] = entry
        return taken

    async def _send(self, topic: str, bulk: Sequence[Outgoing]) -> Sequence[bool]:
        ways = range(len(_BULKS) + 1) if self._way is None else [self._way]
        try:
            for way in ways:
                taken = await (self._bulk(way, topic, bulk) if way < len(_BULKS) else self._singles(topic, bulk))
                if taken is not None:
                    if self._way is None and any(taken):
                        self._way = way
                        _log.info("events are published %s", "in bulk" if way < len(_BULKS) else "one by one")
                    return taken
        except SidecarAway as away:
            self._waits(topic, str(away), "%d events for %s wait: %s", len(bulk), topic, away)
            return [False] * len(bulk)
        self._way = None  # it worked once: perhaps the sidecar is another one now
        return [False] * len(bulk)

    async def _bulk(self, way: int, topic: str, bulk: Sequence[Outgoing]) -> Sequence[bool] | None:
        """What became of each; None if the sidecar does not know this way."""
        entries = [
            _Entry(str(i), entry.body.decode(errors="replace"), PLAIN, self._metadata_of(entry.body))
            for i, entry in enumerate(bulk)
        ]
        answer = await self._sidecar.ask(
            "POST",
            f"{_BULKS[way]}/{self._pubsub}/{topic}?metadata.rawPayload=true",
            _encode(entries),
            timeout_seconds=PUBLISH_SECONDS,
            traceparent=_traceparent(bulk[0].body),
            repeatable=True,  # whoever hears an event knows it by its id
        )
        if 200 <= answer.status < 300:
            return [True] * len(bulk)
        failed = _failed(answer)
        if failed:
            why, counts = _first(failed), (len(failed), len(bulk))
            self._waits(topic, why, "%d of %d events for %s were not taken: %s", *counts, topic, why)
            return [str(i) not in failed for i in range(len(bulk))]
        if answer.status in _UNKNOWN:
            if self._way is not None:
                _log.warning("%s answered %d: %r", _BULKS[way], answer.status, answer.body[:300])
            return None
        said = (answer.status, answer.body[:300])
        self._waits(topic, _answer_text(answer), "%d events for %s were not taken: %d %r", len(bulk), topic, *said)
        return [False] * len(bulk)

    async def _singles(self, topic: str, bulk: Sequence[Outgoing]) -> Sequence[bool]:
        at_once = asyncio.Semaphore(SINGLES_AT_ONCE)

        async def one(entry: Outgoing) -> bool:
            query = "&".join(
                f"metadata.{name}={value}"
                for name, value in {"rawPayload": "true", **(self._metadata_of(entry.body) or {})}.items()
            )
            async with at_once:
                answer = await self._sidecar.ask(
                    "POST",
                    f"/v1.0/publish/{self._pubsub}/{topic}?{query}",
                    entry.body,
                    headers={"content-type": CLOUDEVENT},
                    timeout_seconds=PUBLISH_SECONDS,
                    traceparent=_traceparent(entry.body),
                    repeatable=True,
                )
            if not 200 <= answer.status < 300:
                said = (answer.status, answer.body[:300])
                self._waits(topic, _answer_text(answer), "an event for %s was not taken: %d %r", topic, *said)
            return 200 <= answer.status < 300

        return await asyncio.gather(*(one(entry) for entry in bulk))

    def _metadata_of(self, body: bytes) -> Mapping[str, str] | None:
        return service_bus_metadata(body) if self._is_service_bus else None

    def _waits(self, topic: str, why: str, message: str, *values: object) -> None:
        """Keep why something was not taken; it is said aloud once a topic, until something of it is."""
        self.why = why
        _log.log(logging.DEBUG if topic in self._stuck else logging.WARNING, message, *values)


def service_bus_metadata(body: bytes) -> Mapping[str, str] | None:
    """What Azure Service Bus should know of the event: its id (or it makes one), what it belongs to, its type.

    None for what is no event of ours: who hears it will say so.
    """
    try:
        head = _read_head(body)
    except msgspec.MsgspecError:
        return None
    belongs_to = head.correlationid or head.subject
    return {
        "MessageId": head.id,
        "SessionId": belongs_to,
        "CorrelationId": belongs_to,
        "ContentType": CLOUDEVENT,
        "eventtype": head.type,
    }


def _traceparent(body: bytes) -> str | None:
    """What caused the event; of a bulk, what caused its first one stands for all."""
    try:
        return _read_head(body).traceparent
    except msgspec.MsgspecError:
        return None


def _bulks(entries: Sequence[Outgoing], most_bytes: int) -> Iterator[Sequence[Outgoing]]:
    bulk: list[Outgoing] = []
    room = most_bytes
    for entry in entries:
        if bulk and len(entry.body) > room:
            yield bulk
            bulk, room = [], most_bytes
        bulk.append(entry)
        room -= len(entry.body)
    yield bulk


def _failed(answer: ClientResponse) -> dict[str, str]:
    try:
        return {each.entry_id: each.error for each in _read_failures(answer.body).failed_entries}
    except msgspec.MsgspecError:
        return {}


def _answer_text(answer: ClientResponse) -> str:
    return f"the sidecar answered {answer.status}: {answer.body[:300].decode(errors='replace')}"


def _first(failed: Mapping[str, str]) -> str:
    return next(iter(failed.values()), "")
