"""Consumers: the services of a process that hear events, and how deliveries reach their handlers. For every bus.

Each service has a queue; its handler gets all that waits, up to a limit, as one batch. One event that breaks the
handler costs no other its answer.
"""

import logging
from collections.abc import Iterable, Sequence

from cludale.ports.bus import Acknowledgement, Delivery, Subscription
from cludale.ports.records import StoreUnavailable
from cludale.runtime.batching import BatchingQueue
from cludale.runtime.outcomes import HandlerOutcomes

WAITING_LIMIT = 100_000
"""The most deliveries that may wait; further ones are delivered later. Publishers have far fewer under way."""

_log = logging.getLogger(__name__)


class Consumers:
    """Hands deliveries to services. Used from one event loop."""

    def __init__(self, *, batch_limit: int, outcomes: HandlerOutcomes | None = None) -> None:
        self.outcomes = HandlerOutcomes() if outcomes is None else outcomes
        self.subscriptions: dict[str, Subscription] = {}
        self.hearing: dict[str, list[str]] = {}
        """By event type: the services that hear it."""
        self._queue: BatchingQueue[str, Delivery, Acknowledgement] = BatchingQueue(
            self._ask, of="deliveries", batch_limit=batch_limit, waiting_limit=WAITING_LIMIT
        )
        self.hand_over = self._queue.submit
        """By service: its handler's answers to deliveries, in order. Raises StoreUnavailable: no event is to blame."""

    def add(self, subscriptions: Iterable[Subscription]) -> None:
        """These hear from now on."""
        for subscription in subscriptions:
            self.subscriptions[subscription.service] = subscription
            for name in subscription.event_types:
                self.hearing.setdefault(name, []).append(subscription.service)

    async def close(self) -> None:
        """Finish what waits; later deliveries raise StoreUnavailable."""
        await self._queue.close()

    async def stop(self) -> None:
        """Stop at once; calls that wait are cancelled."""
        await self._queue.stop()

    @property
    def depths(self) -> dict[str, int]:
        """Deliveries that wait for each service."""
        return {service: self._queue.waiting_for(service) for service in self.subscriptions}

    async def _ask(self, service: str, deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        """The handler's acknowledgements. If a batch fails, each delivery is tried alone: one can't block the rest."""
        try:
            answers = await self.subscriptions[service].handler(deliveries)
        except StoreUnavailable as away:
            _log.warning("%s: %d events wait for the store: %s", service, len(deliveries), away)
            raise
        except Exception as error:  # noqa: BLE001 - a handler's failure is an answer: RETRY, up to the limit
            if len(deliveries) == 1:
                event = deliveries[0].event
                _log.warning("%s: %s %s: %r", service, event.type, event.id, error, exc_info=error)
                self.outcomes.failed(service, deliveries[0])
                return [Acknowledgement.RETRY]
        else:
            if len(answers) == len(deliveries):
                self.outcomes.answered(service, deliveries, answers)
                return answers
            _log.error("%s: %d answers to %d deliveries", service, len(answers), len(deliveries))
            if len(deliveries) == 1:
                self.outcomes.failed(service, deliveries[0])
                return [Acknowledgement.RETRY]
        return [(await self._ask(service, [delivery]))[0] for delivery in deliveries]
