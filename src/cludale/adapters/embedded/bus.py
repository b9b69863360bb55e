"""EmbeddedBus: hands events to the services of this process, a queue and a worker for each.

It keeps nothing: the outbox does, until every service that hears an event has answered for it. A service
that answers RETRY gets the event again, later each time, and the others go on; past the delivery limit it
goes to the dead letters.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from cludale.kernel.wire import Codec, Malformed
from cludale.ports.bus import Answer, Delivery, Subscription
from cludale.ports.clock import IdSource
from cludale.ports.outbox import Outgoing
from cludale.ports.records import StoreUnavailable
from cludale.runtime.answering import answers_of
from cludale.runtime.backoff import Backoff
from cludale.runtime.dead_letters import DeadLetters

_log = logging.getLogger(__name__)


class _Batch:
    """Counts the answers that a published batch still waits for."""

    __slots__ = ("done", "open")

    def __init__(self) -> None:
        self.open = 1
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def close(self) -> None:
        self.open -= 1
        if not self.open and not self.done.done():
            self.done.set_result(None)


class _Queue:
    """The events on their way to one service, and the worker that hands them over in batches."""

    def __init__(
        self,
        subscription: Subscription,
        *,
        ids: IdSource,
        backoff: Backoff,
        attempts: int,
        batch_limit: int,
        bury: Callable[[Delivery, str, str], Awaitable[None]],
    ) -> None:
        self.subscription = subscription
        self._ids = ids
        self._backoff = backoff
        self._attempts = attempts
        self._batch_limit = batch_limit
        self._bury = bury
        self._waiting: deque[tuple[Delivery, _Batch]] = deque()
        self._news = asyncio.Event()
        self.retrying = 0

    def put(self, delivery: Delivery, batch: _Batch) -> None:
        batch.open += 1
        self._waiting.append((delivery, batch))
        self._news.set()

    async def run(self) -> None:
        while True:
            if not self._waiting:
                self._news.clear()
                await self._news.wait()
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch_limit))]
            await self._hand_over(taken)

    async def _hand_over(self, taken: Sequence[tuple[Delivery, _Batch]]) -> None:
        deliveries = [delivery for delivery, _ in taken]
        try:
            answers = await answers_of(self.subscription, deliveries)
        except StoreUnavailable as unavailable:
            # No event is to blame for that, so it costs none of them a delivery.
            _log.warning("%s: %d events wait for the store: %s", self.subscription.service, len(taken), unavailable)
            for delivery, batch in taken:
                self._later(delivery, batch)
            return
        for (delivery, batch), answer in zip(taken, answers, strict=True):
            if answer is Answer.SUCCESS:
                batch.close()
            elif answer is Answer.RETRY and delivery.attempt < self._attempts:
                self._again(delivery, batch)
            else:
                why = "refused by its handler" if answer is Answer.DROP else "still not handled at the delivery limit"
                await self._give_up(delivery, batch, why)

    async def _give_up(self, delivery: Delivery, batch: _Batch, why: str) -> None:
        try:
            await self._bury(delivery, self.subscription.service, why)
        except Exception as error:  # noqa: BLE001 - whatever it was, this event and those behind it must not be lost
            _log.warning("%s can't be buried yet: %r", delivery.event.id, error, exc_info=error)
            self._again(delivery, batch)
        else:
            batch.close()

    def _again(self, delivery: Delivery, batch: _Batch) -> None:
        self._later(msgspec.structs.replace(delivery, attempt=delivery.attempt + 1), batch)

    def _later(self, delivery: Delivery, batch: _Batch) -> None:
        wait = self._backoff.seconds(delivery.attempt, self._ids.jitter())
        self.retrying += 1
        asyncio.get_running_loop().call_later(wait, self._requeue, delivery, batch)

    def _requeue(self, delivery: Delivery, batch: _Batch) -> None:
        self.retrying -= 1
        self._waiting.append((delivery, batch))
        self._news.set()

    @property
    def depth(self) -> int:
        return len(self._waiting) + self.retrying


class EmbeddedBus:
    """Delivers what is published to the subscriptions of this process."""

    def __init__(
        self,
        codec: Codec,
        *,
        ids: IdSource,
        backoff: Backoff,
        attempts: int,
        dead_letters: DeadLetters,
        batch_limit: int = 512,
    ) -> None:
        self._codec = codec
        self._ids = ids
        self._backoff = backoff
        self._attempts = attempts
        self._dead_letters = dead_letters
        self._batch_limit = batch_limit
        self._queues: dict[str, _Queue] = {}
        self._by_type: dict[str, list[_Queue]] = {}
        self._workers: list[asyncio.Task[None]] = []

    def start(self, subscriptions: Sequence[Subscription]) -> None:
        """Begin to deliver to these."""
        for subscription in subscriptions:
            queue = _Queue(
                subscription,
                ids=self._ids,
                backoff=self._backoff,
                attempts=self._attempts,
                batch_limit=self._batch_limit,
                bury=self._bury,
            )
            self._queues[subscription.service] = queue
            for name in subscription.event_types:
                self._by_type.setdefault(name, []).append(queue)
            worker = asyncio.get_running_loop().create_task(queue.run(), name=f"bus to {subscription.service}")
            worker.add_done_callback(_ended)
            self._workers.append(worker)

    async def stop(self) -> None:
        """Deliver no more; what has no answer yet stays in the outbox."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[bool]:
        """Deliver each entry to every service that hears it; returns when all have answered, or given up."""
        pending = _Batch()
        for entry in batch:
            try:
                event = entry.event or self._codec.decode(entry.body)
            except Malformed as malformed:
                await self._dead_letters.bury(
                    self._publisher_of(entry.topic),
                    entry.body,
                    event_type="?",
                    event_id=f"{entry.topic}.{entry.position}",
                    reason=str(malformed),
                    attempts=1,
                )
                continue
            delivery = Delivery(event, entry.body)
            for queue in self._by_type.get(event.type, ()):
                queue.put(delivery, pending)
        pending.close()
        await pending.done
        return [True] * len(batch)

    async def deliver(self, service: str, deliveries: Sequence[Delivery]) -> Sequence[Answer]:
        """Hand these to one service once more, now. KeyError for a service that hears nothing here."""
        return await self._queues[service].subscription.handler(deliveries)

    def _publisher_of(self, topic: str) -> str:
        """Who wrote what can't be read: nobody hears it, and somebody has to look after it."""
        return next((each.source for each in self._codec.catalogue.topics if each.name == topic), "bus")

    async def _bury(self, delivery: Delivery, service: str, why: str) -> None:
        event = delivery.event
        await self._dead_letters.bury(
            service, delivery.body, event_type=event.type, event_id=event.id, reason=why, attempts=delivery.attempt
        )

    @property
    def depths(self) -> dict[str, int]:
        """Events waiting for each service."""
        return {name: queue.depth for name, queue in self._queues.items()}


def _ended(worker: asyncio.Task[None]) -> None:
    if not worker.cancelled() and (error := worker.exception()) is not None:
        _log.critical("%s stopped: %r", worker.get_name(), error, exc_info=error)
