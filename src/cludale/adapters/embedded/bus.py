"""EmbeddedBus: hands events to the services of this process.

It keeps nothing: the outbox does, until every service that hears an event has answered for it. A service
that answers RETRY gets the event again, later each time, and the others go on; past the delivery limit it
goes to the dead letters.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from cludale.kernel.backoff import Backoff
from cludale.kernel.wire import Codec, Malformed
from cludale.ports.bus import Acknowledgement, Delivery, Subscription
from cludale.ports.clock import IdSource
from cludale.ports.outbox import Outgoing
from cludale.ports.records import StoreUnavailable
from cludale.runtime.consumers import Consumers
from cludale.runtime.dead_letters import DeadLetters
from cludale.runtime.outcomes import HandlerOutcomes

_log = logging.getLogger(__name__)


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
        outcomes: HandlerOutcomes | None = None,
    ) -> None:
        self._codec = codec
        self._ids = ids
        self._backoff = backoff
        self._attempts = attempts
        self._dead_letters = dead_letters
        self._batch_limit = batch_limit
        self._consumers = Consumers(batch_limit=batch_limit, outcomes=outcomes)
        self._retrying: Counter[str] = Counter()

    def start(self, subscriptions: Sequence[Subscription]) -> None:
        """Begin to deliver to these."""
        self._consumers.add(subscriptions)

    async def stop(self) -> None:
        """Deliver no more; what has no answer yet stays in the outbox, and whoever publishes it is cancelled."""
        await self._consumers.stop()

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[bool]:
        """Deliver each entry to every service that hears it; returns when all have answered, or given up."""
        heard: defaultdict[str, list[Delivery]] = defaultdict(list)
        hearing = self._consumers.hearing
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
            for service in hearing.get(event.type, ()):
                heard[service].append(delivery)
        await asyncio.gather(
            *(
                self._deliver(service, deliveries[at : at + self._batch_limit])
                for service, deliveries in heard.items()
                for at in range(0, len(deliveries), self._batch_limit)
            )
        )
        return [True] * len(batch)

    async def _deliver(self, service: str, deliveries: Sequence[Delivery]) -> None:
        """Hand these over until each is handled or buried. All of them have been tried as often."""
        while True:
            try:
                answers = await self._consumers.hand_over(service, deliveries)
            except StoreUnavailable:
                pass  # no event is to blame for that, so it costs none of them a delivery
            else:
                if answers.count(Acknowledgement.SUCCESS) == len(deliveries):
                    return
                deliveries = await self._to_deliver_again(service, deliveries, answers)
                if not deliveries:
                    return
            self._retrying[service] += len(deliveries)
            try:
                await asyncio.sleep(self._backoff.seconds(deliveries[0].attempt, self._ids.jitter()))
            finally:
                self._retrying[service] -= len(deliveries)

    async def _to_deliver_again(
        self, service: str, deliveries: Sequence[Delivery], answers: Sequence[Acknowledgement]
    ) -> Sequence[Delivery]:
        """What has to be delivered again, after what is given up was buried."""
        left: list[Delivery] = []
        for delivery, answer in zip(deliveries, answers, strict=True):
            if answer is Acknowledgement.SUCCESS:
                continue
            if (answer is Acknowledgement.RETRY and delivery.attempt < self._attempts) or not await self._is_buried(
                service, delivery, answer
            ):
                left.append(msgspec.structs.replace(delivery, attempt=delivery.attempt + 1))
        return left

    async def _is_buried(self, service: str, delivery: Delivery, answer: Acknowledgement) -> bool:
        event = delivery.event
        why = "refused by its handler" if answer is Acknowledgement.DROP else "still not handled at the delivery limit"
        try:
            await self._dead_letters.bury(
                service, delivery.body, event_type=event.type, event_id=event.id, reason=why, attempts=delivery.attempt
            )
        except Exception as error:  # noqa: BLE001 - whatever it was, this event and those behind it must not be lost
            _log.warning("%s can't be kept as a dead letter yet: %r", event.id, error, exc_info=error)
            return False
        self._consumers.outcomes.buried(service, event.type)
        return True

    async def deliver(self, service: str, deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        """Hand these to one service once more, now. KeyError for a service that hears nothing here."""
        return await self._consumers.subscriptions[service].handler(deliveries)

    def _publisher_of(self, topic: str) -> str:
        """Who wrote what can't be read: nobody hears it, and somebody has to look after it."""
        return next((each.source for each in self._codec.catalogue.topics if each.name == topic), "bus")

    @property
    def depths(self) -> dict[str, int]:
        """Events waiting for each service."""
        return {service: waiting + self._retrying[service] for service, waiting in self._consumers.depths.items()}
