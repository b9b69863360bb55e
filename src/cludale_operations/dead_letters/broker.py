"""The broker's own dead letters: what it gave up, place by place. The port, and its words; no I/O.

Only Azure Service Bus gives an event up. On NATS and RabbitMQ, as they are set up here, one that is not taken stays
where it is and is delivered again (tests/operations/local/test_never_given_up.py).
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from cludale.adapters.dapr.subscriptions import dead_letter_topic, topics_heard
from cludale.services.catalogue import CATALOGUE, HEARS


class BrokerRefused(Exception):
    """The broker refused, or can't be asked; the message says why."""


class BrokerSubscription(NamedTuple):
    """A subscription: one topic, heard by one service. What the broker gives up for it stands there."""

    topic: str
    service: str

    def id_of(self, sequence: int) -> str:
        """The id of the dead letter with this number. It has slashes, unlike ids of a service's own dead letters."""
        return f"{self.topic}/{self.service}/{sequence}"


def places(services: Collection[str], topics: Collection[str] = ()) -> list[BrokerSubscription]:
    """Wherever a letter of these services may stand; with `topics`, of these topics only."""
    found = [
        BrokerSubscription(topic, service)
        for service in services
        for topic in [*topics_heard(CATALOGUE, HEARS.get(service, ())), dead_letter_topic(service)]
    ]
    return [each for each in found if not topics or each.topic in topics]


def place_of(id: str) -> tuple[BrokerSubscription, int] | None:
    """Where the letter of this id stands, and its number there; None if no broker's letter has such an id."""
    topic, _, rest = id.partition("/")
    service, _, sequence = rest.partition("/")
    place = BrokerSubscription(topic, service)
    if place not in places([service]) or not (sequence.isascii() and sequence.isdigit()):
        return None
    return place, int(sequence)


class BrokerLetter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message that the broker gave up.

    `sequence` is its number in its place; `published_at` is when the broker took it, for it doesn't say when it gave it
    up; `attempts` is how often it was delivered, to `send_again` as well; `body` is the event as it was on the wire.
    """

    place: BrokerSubscription
    sequence: int
    event_type: str
    event_id: str
    reason: str
    description: str
    attempts: int
    published_at: datetime
    body: str

    @property
    def id(self) -> str:
        """What `cludale deadletters` calls it."""
        return self.place.id_of(self.sequence)


class LetterOutcome(StrEnum):
    """What came of sending a letter again."""

    SENT = "Sent"
    """The broker has confirmed it for its service, and the letter is gone."""
    SENT_AND_KEPT = "SentAndKept"
    """The broker has confirmed it, and the letter still stands there: another try sends the event once more."""
    HELD = "Held"
    """It could not be had now: another has it in hand (for a minute, if that one died), or too many stand before it."""


class Sent(NamedTuple):
    """What came of one letter."""

    sequence: int
    outcome: LetterOutcome


class BrokerDeadLetters(Protocol):
    """What a broker has given up."""

    def standing(self, place: BrokerSubscription) -> Iterator[BrokerLetter]:
        """The letters of a place by their number, read as they are asked for. Changes nothing. Raises BrokerRefused."""
        ...

    def one(self, place: BrokerSubscription, sequence: int) -> BrokerLetter | None:
        """The letter of this number, None if there is none. Changes nothing. Raises BrokerRefused."""
        ...

    def send_again(self, place: BrokerSubscription, wanted: Collection[int]) -> Iterator[Sent]:
        """Send the letters of these numbers to the place's service, and only to it, as they come.

        Each is removed once the broker has confirmed what was sent: whoever dies between the two leaves a letter that
        is sent twice, never one that is lost, and a service knows by the event's id what it has handled. Raises
        BrokerRefused; what was told before that is done.
        """
        ...
