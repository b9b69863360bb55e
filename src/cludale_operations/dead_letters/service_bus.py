"""Azure Service Bus: the dead-letter queues of the subscriptions, over Microsoft's library.

A letter is sent to the topic of its service's dead letters, which that service alone hears: there it is tried again as
any dead letter, and kept with the reason if it is still not taken. Its own topic would deliver it to all who hear that.
Transfer dead letters are not looked at: they come of forwarding, and no subscription here forwards.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from cludale.adapters.dapr.subscriptions import dead_letter_topic
from cludale_operations.dead_letters.broker import BrokerLetter, BrokerRefused, BrokerSubscription, LetterOutcome, Sent

if TYPE_CHECKING:
    from azure.servicebus import (
        ServiceBusClient,
        ServiceBusMessage,
        ServiceBusReceivedMessage,
        ServiceBusReceiver,
        ServiceBusSender,
    )

DOMAIN = "servicebus.windows.net"
PAGE = 100
"""Messages that are looked at in one request."""
AT_ONCE = 50
"""Messages that are taken in hand at once, so that each is sent and removed within the minute that a lock lasts."""
MOST_IN_HAND = 2_000
"""Past so many that are not wanted, the wanted ones are given up: those in hand come back after a minute."""
WAIT_SECONDS = 5.0
"""Without a message for so long there is none."""

_STAMPS = frozenset({"DeadLetterReason", "DeadLetterErrorDescription"})


class _Head(msgspec.Struct):
    id: str
    type: str


_read_head = msgspec.json.Decoder(_Head).decode


class ServiceBusDeadLetters:
    """What one namespace has given up."""

    def __init__(self, client: "ServiceBusClient") -> None:
        self._client = client

    def standing(self, place: BrokerSubscription) -> Iterator[BrokerLetter]:
        """The letters of a place by their number, a page at a time. Raises BrokerRefused."""
        with _refusals(place), self._receiver(place) as receiver:
            after = 0
            while page := receiver.peek_messages(max_message_count=PAGE, sequence_number=after + 1):
                for message in page:
                    after = max(after, message.sequence_number or 0)
                    yield _letter(place, message)

    def one(self, place: BrokerSubscription, sequence: int) -> BrokerLetter | None:
        """The letter of this number, None if there is none. Raises BrokerRefused."""
        with _refusals(place), self._receiver(place) as receiver:
            found = receiver.peek_messages(max_message_count=1, sequence_number=sequence)
        return next((_letter(place, each) for each in found if each.sequence_number == sequence), None)

    def send_again(self, place: BrokerSubscription, wanted: Collection[int]) -> Iterator[Sent]:
        """Send these to the place's service, and remove each once that is confirmed. Raises BrokerRefused.

        A message can't be asked for by its number: the queue is gone through, and what is not wanted is given back.
        """
        left = set(wanted)
        in_hand: dict[int, ServiceBusReceivedMessage] = {}
        with (
            _refusals(place),
            self._receiver(place) as receiver,
            self._client.get_topic_sender(dead_letter_topic(place.service)) as sender,
        ):
            try:
                while left and len(in_hand) < MOST_IN_HAND:
                    got = receiver.receive_messages(max_message_count=AT_ONCE, max_wait_time=WAIT_SECONDS)
                    numbered = {each.sequence_number or 0: each for each in got}
                    is_new = not numbered.keys() <= in_hand.keys()
                    in_hand |= numbered
                    for sequence in sorted(left & numbered.keys()):
                        outcome = _moved(in_hand[sequence], receiver, sender)
                        del in_hand[sequence]
                        left.discard(sequence)
                        yield Sent(sequence, outcome)
                    if not is_new:
                        break
            finally:
                _give_back(in_hand.values(), receiver)
        for sequence in sorted(left):
            yield Sent(sequence, LetterOutcome.HELD)

    def _receiver(self, place: BrokerSubscription) -> "ServiceBusReceiver":
        from azure.servicebus import ServiceBusSubQueue  # noqa: PLC0415 - an extra

        return self._client.get_subscription_receiver(
            place.topic, place.service, sub_queue=ServiceBusSubQueue.DEAD_LETTER
        )


@contextmanager
def service_bus(namespace: str) -> Iterator[ServiceBusDeadLetters]:
    """The namespace (`cludale-dev-x7`, or its whole host) for the block, as whoever `az login` or an identity says.

    Raises BrokerRefused where the library is missing.
    """
    try:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - an extra
        from azure.servicebus import ServiceBusClient  # noqa: PLC0415 - an extra
    except ImportError as missing:
        raise BrokerRefused(f"its library is not installed ({missing}): pip install 'cludale[azure]'") from missing
    host = namespace if "." in namespace else f"{namespace}.{DOMAIN}"
    with DefaultAzureCredential() as credential, ServiceBusClient(host, credential) as client:
        yield ServiceBusDeadLetters(client)


@contextmanager
def _refusals(place: BrokerSubscription) -> Iterator[None]:
    """What the library raises, as one line that says what to do where that is known."""
    from azure.core.exceptions import AzureError  # noqa: PLC0415 - an extra
    from azure.servicebus.exceptions import (  # noqa: PLC0415 - an extra
        MessagingEntityNotFoundError,
        ServiceBusAuthenticationError,
        ServiceBusAuthorizationError,
    )

    where = f"{place.topic}/{place.service}"
    try:
        yield
    except (ServiceBusAuthenticationError, ServiceBusAuthorizationError) as error:
        raise BrokerRefused(
            f"{where}: you may not do that there. Who looks needs the role Azure Service Bus Data Receiver, who sends "
            f"again Data Sender on {dead_letter_topic(place.service)}, too ({_line(error)})"
        ) from error
    except MessagingEntityNotFoundError as error:
        raise BrokerRefused(f"{where}: there is no such subscription in this namespace ({_line(error)})") from error
    except AzureError as error:
        raise BrokerRefused(f"{where}: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _moved(
    message: "ServiceBusReceivedMessage", receiver: "ServiceBusReceiver", sender: "ServiceBusSender"
) -> LetterOutcome:
    """Send it, and remove it once that is confirmed."""
    from azure.servicebus.exceptions import ServiceBusError  # noqa: PLC0415 - an extra

    sender.send_messages(_again(message))
    try:
        receiver.complete_message(message)
    except ServiceBusError:
        return LetterOutcome.SENT_AND_KEPT
    return LetterOutcome.SENT


def _give_back(messages: Collection["ServiceBusReceivedMessage"], receiver: "ServiceBusReceiver") -> None:
    from azure.servicebus.exceptions import ServiceBusError  # noqa: PLC0415 - an extra

    # what can't be given back comes back by itself when its lock ends
    with suppress(ServiceBusError):
        for message in messages:
            receiver.abandon_message(message)


def _again(message: "ServiceBusReceivedMessage") -> "ServiceBusMessage":
    """What is sent: the same bytes under the same id, without what the broker noted, and with a life of its own."""
    from azure.servicebus import ServiceBusMessage  # noqa: PLC0415 - an extra

    noted = _properties(message)
    return ServiceBusMessage(
        _body(message),
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        content_type=message.content_type,
        subject=message.subject,
        application_properties={name: value for name, value in noted.items() if name not in _STAMPS},
    )


def _letter(place: BrokerSubscription, message: "ServiceBusReceivedMessage") -> BrokerLetter:
    body, properties = _body(message), _properties(message)
    try:
        head = _read_head(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        head = _Head(str(message.message_id or "?"), str(properties.get("eventtype") or "?"))
    if message.enqueued_time_utc is None:
        raise BrokerRefused(f"{place.topic}/{place.service}: a message without the time at which it was taken")
    return BrokerLetter(
        place=place,
        sequence=message.sequence_number or 0,
        event_type=head.type,
        event_id=head.id,
        reason=message.dead_letter_reason or "?",
        description=message.dead_letter_error_description or "",
        attempts=message.delivery_count or 0,
        published_at=message.enqueued_time_utc,
        body=body.decode(errors="replace"),
    )


def _body(message: "ServiceBusReceivedMessage") -> bytes:
    """The bytes of a message; of a stranger's that has a value instead, its text."""
    from azure.servicebus.amqp import AmqpMessageBodyType  # noqa: PLC0415 - an extra

    content: Any = message.body
    if isinstance(content, bytes):
        return content
    return b"".join(content) if message.body_type is AmqpMessageBodyType.DATA else str(content).encode()


def _properties(message: "ServiceBusReceivedMessage") -> Mapping[str, Any]:
    """Names and values as text, which the library leaves as bytes."""
    return {_text(name): _text(value) for name, value in (message.application_properties or {}).items()}


def _text(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
