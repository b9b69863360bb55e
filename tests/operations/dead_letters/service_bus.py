"""A DOUBLE of Azure Service Bus behind Microsoft's library: not Azure, and no proof that Azure does the same.

It keeps state: what was sent to topics, and what stands in the dead-letter queues, with locks that end and deliveries
that count, and refuses what Service Bus is documented to refuse. Messages pass through the library's own AMQP encoding,
so what is read is what the library makes of bytes. `test_service_bus.py` holds its methods against the library's.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus._pyamqp._encode import encode_payload
from azure.servicebus._pyamqp.message import Header, Message
from azure.servicebus._pyamqp.types import TYPE, VALUE, AMQPTypes
from azure.servicebus._transport._pyamqp_transport import PyamqpTransport
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessagingEntityNotFoundError,
    ServiceBusAuthorizationError,
    ServiceBusConnectionError,
)
from tests.fakes import NOON

from cludale_operations.dead_letters.broker import BrokerSubscription, places

LOCK = timedelta(minutes=1)
"""As the subscriptions say (infra/modules/serviceBus.bicep)."""


class Killed(BaseException):
    """The process has ended: nothing that it does from now on is done."""


@dataclass
class Standing:
    """A message in a dead-letter queue."""

    message: Message
    deliveries: int
    lock: int = 0
    locked_until: datetime = NOON


class Namespace:
    """The topics and subscriptions of the platform, and who may do what there: all, but for what is `denied`.

    `watch` is called before ("peek", False) and after ("peek", True) everything that is done.
    """

    def __init__(self, services: list[str]) -> None:
        self.now = NOON
        self.dead: dict[BrokerSubscription, dict[int, Standing]] = {place: {} for place in places(services)}
        self.sent: dict[str, list[ServiceBusReceivedMessage]] = defaultdict(list)
        self.denied: set[str] = set()
        self.away: set[str] = set()
        self.watch: Callable[[str, bool], None] = lambda _, __: None
        self.locks = itertools.count(1)
        self._numbers = itertools.count(1)

    def gave_up(
        self,
        place: BrokerSubscription,
        body: bytes,
        *,
        id: str,
        type: str,
        reason: str = "MaxDeliveryCountExceeded",
        description: str = "Message could not be consumed after 2000 delivery attempts.",
        deliveries: int = 2000,
        days_old: int = 0,
        value: str | None = None,
    ) -> int:
        """Put a message aside, as the broker does; its number. With `value` it has that instead of bytes."""
        message = PyamqpTransport.to_outgoing_amqp_message(
            ServiceBusMessage(
                body,
                message_id=id,
                content_type="application/cloudevents+json",
                correlation_id="order-1",
                time_to_live=timedelta(days=14),
                application_properties={
                    "eventtype": type,
                    "DeadLetterReason": reason,
                    "DeadLetterErrorDescription": description,
                },
            ).raw_amqp_message
        )
        if value is not None:
            message = message._replace(data=None, value=value)
        number = next(self._numbers)
        taken = self.now - timedelta(days=days_old)
        annotations: dict[str | bytes, Any] = {
            b"x-opt-sequence-number": {TYPE: AMQPTypes.long, VALUE: number},
            b"x-opt-enqueued-time": {TYPE: AMQPTypes.timestamp, VALUE: int(taken.timestamp() * 1000)},
        }
        self.dead[place][number] = Standing(message._replace(message_annotations=annotations), deliveries)
        return number

    def client(self) -> "Client":
        """A process's client."""
        return Client(self)

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Around everything that a client asks for."""
        if what in self.denied:
            raise ServiceBusAuthorizationError(message="Unauthorized access. 'Listen' claim(s) are required.")
        if what in self.away:
            raise ServiceBusConnectionError(message="Failed to open\n  a connection.")
        self.watch(what, False)
        yield
        self.watch(what, True)


class _Closing:
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Messages in hand stay locked, as they do there."""


class Client(_Closing):
    """In the place of `ServiceBusClient`."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    def get_subscription_receiver(
        self, topic_name: str, subscription_name: str, *, sub_queue: ServiceBusSubQueue | None = None
    ) -> "Receiver":
        """Of a dead-letter queue; of nothing else."""
        assert sub_queue is ServiceBusSubQueue.DEAD_LETTER
        return Receiver(self._namespace, BrokerSubscription(topic_name, subscription_name))

    def get_topic_sender(self, topic_name: str) -> "Sender":
        """Of any topic; what is not there shows when something is sent."""
        return Sender(self._namespace, topic_name)


class Receiver(_Closing):
    """In the place of `ServiceBusReceiver`, in the mode peek-lock."""

    def __init__(self, namespace: Namespace, place: BrokerSubscription) -> None:
        self._namespace = namespace
        self._place = place
        self._in_hand: dict[int, tuple[int, int]] = {}

    def peek_messages(self, max_message_count: int = 1, *, sequence_number: int = 0) -> list[ServiceBusReceivedMessage]:
        """Those from this number on, locked or not."""
        with self._namespace.doing("peek"):
            numbers = [number for number in sorted(self._queue) if number >= sequence_number]
            return [_received(self._queue[number]) for number in numbers[:max_message_count]]

    def receive_messages(
        self, max_message_count: int | None = 1, max_wait_time: float | None = None
    ) -> list[ServiceBusReceivedMessage]:
        """The next that nobody has in hand; fewer than asked for where there are fewer."""
        with self._namespace.doing("receive"):
            free = [number for number, each in sorted(self._queue.items()) if each.locked_until <= self._namespace.now]
            return [self._handed_out(number) for number in free[:max_message_count]]

    def complete_message(self, message: ServiceBusReceivedMessage) -> None:
        """Remove it."""
        with self._namespace.doing("complete"):
            del self._queue[self._settled(message)]

    def abandon_message(self, message: ServiceBusReceivedMessage) -> None:
        """Give it back at once."""
        with self._namespace.doing("abandon"):
            standing = self._queue[self._settled(message)]
            standing.locked_until = self._namespace.now
            standing.deliveries += 1

    @property
    def _queue(self) -> dict[int, Standing]:
        if self._place not in self._namespace.dead:
            raise MessagingEntityNotFoundError(message="The messaging entity could not be found.")
        return self._namespace.dead[self._place]

    def _handed_out(self, number: int) -> ServiceBusReceivedMessage:
        standing = self._queue[number]
        standing.lock, standing.locked_until = next(self._namespace.locks), self._namespace.now + LOCK
        message = _received(standing)
        self._in_hand[id(message)] = (number, standing.lock)
        return message

    def _settled(self, message: ServiceBusReceivedMessage) -> int:
        number, lock = self._in_hand[id(message)]
        standing = self._queue.get(number)
        if standing is None or standing.lock != lock or standing.locked_until <= self._namespace.now:
            raise MessageLockLostError(message="The lock on the message lock has expired.")
        return number


class Sender(_Closing):
    """In the place of `ServiceBusSender`."""

    def __init__(self, namespace: Namespace, topic: str) -> None:
        self._namespace = namespace
        self._topic = topic

    def send_messages(self, message: ServiceBusMessage) -> None:
        """Take it; it is confirmed when this returns."""
        with self._namespace.doing("send"):
            if self._topic not in {place.topic for place in self._namespace.dead}:
                raise MessagingEntityNotFoundError(message="The messaging entity could not be found.")
            outgoing = PyamqpTransport.to_outgoing_amqp_message(message.raw_amqp_message)
            self._namespace.sent[self._topic].append(_decoded(outgoing))


def _received(standing: Standing) -> ServiceBusReceivedMessage:
    return _decoded(standing.message._replace(header=Header(delivery_count=standing.deliveries)))


def _decoded(message: Message) -> ServiceBusReceivedMessage:
    return ServiceBusReceivedMessage.from_bytes(bytes(encode_payload(bytearray(), message)))


def properties_of(message: ServiceBusReceivedMessage) -> Mapping[str, Any]:
    """A message's application properties as text."""
    return {
        name.decode() if isinstance(name, bytes) else name: value.decode() if isinstance(value, bytes) else value
        for name, value in (message.application_properties or {}).items()
    }
