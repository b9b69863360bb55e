"""Events and their envelope: CloudEvents 1.0 with typed data, and the catalogue of all of them.

An `Event` is the data of a public fact. Decisions return bare events; `runtime/aggregates.py` puts one into its
`Envelope` (id, time, cause, trace) when it is committed.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Base of all public facts. Carries no personal data. `subject_field` names the aggregate's id."""

    subject_field: ClassVar[str] = "order_id"
    data_version: ClassVar[str] = "1"

    @property
    def subject(self) -> str:
        """The id of the aggregate that this is a fact about."""
        return str(getattr(self, self.subject_field))

    @property
    def correlation(self) -> str | None:
        """The order that this belongs to, if it belongs to one."""
        return getattr(self, "order_id", None)


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A CloudEvent in structured JSON mode; the attribute names are CloudEvents' own, in lower case."""

    specversion: str
    id: str
    type: str
    source: str
    subject: str
    time: datetime
    datacontenttype: str
    dataversion: str
    correlationid: str | None = None
    """The order."""
    causationid: str | None = None
    """The event that caused this one; none where a request did."""
    traceparent: str | None = None
    """W3C trace context of the buyer's request, carried through all that follows from it."""
    repeated: bool = False
    """A fact that was told before, told again under a new id because somebody seems not to have heard it."""
    data: Any
    """Last, as `FlatJson` wants it."""


class Cause(msgspec.Struct, frozen=True, gc=False):
    """Why something happens: the event (if it was one) and the trace that it belongs to."""

    event_id: str | None = None
    traceparent: str | None = None

    @classmethod
    def of(cls, envelope: Envelope) -> "Cause":
        """`envelope` as the cause of what is done about it."""
        return cls(envelope.id, envelope.traceparent)


def envelop(event: Event, *, id: str, source: str, time: datetime, cause: Cause, repeated: bool = False) -> Envelope:
    """Put a decided event into its envelope."""
    kind = type(event)
    return Envelope(
        specversion="1.0",
        id=id,
        type=kind.__name__,
        source=source,
        subject=str(getattr(event, kind.subject_field)),  # `event.subject`, in fewer steps
        time=time,
        datacontenttype="application/json",
        dataversion=kind.data_version,
        data=event,
        correlationid=event.correlation,
        causationid=cause.event_id,
        traceparent=cause.traceparent,
        repeated=repeated,
    )


class Topic(msgspec.Struct, frozen=True):
    """One publishing service's facts: its topic's name, the service, and the event types."""

    name: str
    source: str
    events: tuple[type[Event], ...]


class Catalogue:
    """Every event of the platform: what the wire codec decodes, audit hears and the documentation lists."""

    def __init__(self, topics: Iterable[Topic]) -> None:
        self.topics: tuple[Topic, ...] = tuple(topics)
        self.types: Mapping[str, type[Event]] = {e.__name__: e for t in self.topics for e in t.events}
        self._topic: Mapping[str, Topic] = {e.__name__: t for t in self.topics for e in t.events}
        if len(self.types) != sum(len(t.events) for t in self.topics):
            raise ValueError("two events in the catalogue share a name")

    def topic_of(self, type_name: str) -> Topic:
        """The topic that carries `type_name`. KeyError for an unknown type."""
        return self._topic[type_name]
