"""Events on their way: put into envelopes and deliveries, and read from an outbox."""

from datetime import datetime

from tests.fakes import NOON

from cludale.kernel.events import Cause, Envelope, Event, envelop
from cludale.kernel.wire import Codec
from cludale.ports.bus import Delivery
from cludale.ports.outbox import Outbox
from cludale.services.catalogue import CATALOGUE

CODEC = Codec(CATALOGUE)
REQUEST = Cause()
"""Nothing but a request was the cause."""


def delivered(event: Event, id: str, *, at: datetime = NOON, cause: Cause = REQUEST) -> Delivery:
    """`event` as its publisher would have it delivered."""
    source = CATALOGUE.topic_of(type(event).__name__).source
    envelope = envelop(event, id=id, source=source, time=at, cause=cause)
    return Delivery(envelope, CODEC.encode(envelope))


async def published(outbox: Outbox) -> list[Envelope]:
    """Everything in the outbox, in the order of commits."""
    return [CODEC.decode(entry.body) for entry in await outbox.pending(0, 10_000)]


async def told(outbox: Outbox, *, about: str = "") -> list[str]:
    """The types of what was published; `about` narrows them to an order."""
    return [each.type for each in await published(outbox) if about in (each.correlationid or "")]
