"""Replay from the audit log: its events in order, to rebuild state from, and deliveries made again.

Rebuilding is in runtime/replay.py; here is the log that it reads.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

import msgspec

from cludale.kernel.events import Envelope
from cludale.kernel.refusals import Invalid, NotFound
from cludale.kernel.wire import Codec, Malformed
from cludale.ports.bus import Acknowledgement, Deliver, Delivery
from cludale.ports.records import Records, Stored
from cludale.services.audit import store
from cludale.services.audit.segments import entries_by_id
from cludale.services.audit.store import ENTRY, Filter

LOG_PAGE = 1_000
REDELIVER_BATCH = 200
REDELIVER_LIMIT = 1_000
"""The most events that one request delivers again; `next` goes on."""


class UnreadableEntry(Exception):
    """An entry of the log is no event of ours any more; `cludale audit verify` says more."""


class RepeatedNumber(UnreadableEntry):
    """Two entries of the log have one sequence number, so somebody has been at it."""

    def __init__(self, sequence: int, id: str) -> None:
        super().__init__(f"{id}: sequence number repeated: it is a second entry {sequence}")


class AuditLog:
    """The audit log in `records`, read from its beginning; with `until` only what happened before that time."""

    def __init__(self, records: Records, codec: Codec, *, until: datetime | None = None) -> None:
        self._records = records
        self._codec = codec
        self._until = until
        self._page: str | None = None
        """The cursor of the page that was the last one, and may have grown."""
        self._read_up_to = 0
        self._ids_of_page: dict[int, str] = {}
        """The ids of the entries of the page that was read last, by number: that page may be read again."""

    async def read(self) -> AsyncIterator[Sequence[Envelope]]:
        """The entries past those read before, in pages, in order. Raises UnreadableEntry, RepeatedNumber."""
        while True:
            page = await self._records.find(ENTRY, store.walk(self._page, LOG_PAGE))
            fresh = []
            before, self._ids_of_page = self._ids_of_page, {}
            for stored in page.items:
                sequence, delivery = _read(stored, self._codec)
                if self._ids_of_page.setdefault(sequence, stored.id) != stored.id:
                    raise RepeatedNumber(sequence, stored.id)
                if sequence <= self._read_up_to and before.get(sequence) != stored.id:
                    raise RepeatedNumber(sequence, stored.id)
                if sequence > self._read_up_to:
                    self._read_up_to = sequence
                    if self._until is None or delivery.event.time < self._until:
                        fresh.append(delivery.event)
            if fresh:
                yield fresh
            if page.next is None:
                return
            self._page = page.next


def _read(stored: Stored, codec: Codec) -> tuple[int, Delivery]:
    """Sequence number and event of an entry, the event as it came."""
    try:
        sequence, body = store.numbered_event(stored)
        return sequence, Delivery(codec.decode(body), body)
    except (msgspec.MsgspecError, Malformed) as error:
        raise UnreadableEntry(f"{stored.id}: {error}") from error


class Delivered(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One event delivered again to one service, and what the service said."""

    event_id: str
    event_type: str
    service: str
    answer: Acknowledgement


class Redelivered(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What was delivered again; `next` continues where REDELIVER_LIMIT ended it, None at the end."""

    items: list[Delivered]
    next: str | None


class Redelivery:
    """Delivers chosen events of the log again. Handlers know what they have handled, so that changes nothing twice.

    `hears` are the event types that each service hears; no service is handed any other.
    """

    def __init__(
        self, records: Records, codec: Codec, *, deliver: Deliver, hears: Mapping[str, frozenset[str]]
    ) -> None:
        self._records = records
        self._codec = codec
        self._deliver = deliver
        self._hears = hears

    async def by_ids(self, event_ids: Sequence[str], to: Sequence[str] | None) -> Redelivered:
        """These events, to those services (None: all that hear them).

        Raises Invalid for too many ids or an unknown service, NotFound for an unknown event.
        """
        if len(event_ids) > REDELIVER_LIMIT:
            raise Invalid(("eventIds", f"at most {REDELIVER_LIMIT} events at a time, {len(event_ids)} given"))
        services = self._services(to)
        found = await entries_by_id(self._records, event_ids)
        for each in event_ids:
            if each not in found:
                raise NotFound("event", each)
        return Redelivered(await self._hand_over(list(found.values()), services), None)

    async def by_filter(self, wanted: Filter, to: Sequence[str] | None, *, after: str | None = None) -> Redelivered:
        """The events that `wanted` names, in the log's order, from `after` on.

        Raises Invalid for an unknown service, UnusableCursor.
        """
        services = self._services(to)
        page = await self._records.find(ENTRY, wanted.query(after=after, limit=REDELIVER_LIMIT))
        return Redelivered(await self._hand_over(page.items, services), page.next)

    def _services(self, to: Sequence[str] | None) -> Sequence[str]:
        if to is None:
            return list(self._hears)
        for service in to:
            if service not in self._hears:
                known = ", ".join(sorted(self._hears)) or "nobody here"
                raise Invalid(("to", f"events are delivered again to {known}; not to {service!r}"))
        return list(dict.fromkeys(to))

    async def _hand_over(self, entries: Sequence[Stored], services: Sequence[str]) -> list[Delivered]:
        by_sequence = sorted((_read(stored, self._codec) for stored in entries), key=lambda read: read[0])
        delivered: list[Delivered] = []
        for start in range(0, len(by_sequence), REDELIVER_BATCH):
            # A fact that was told again asked for an answer then; now it is only to be heard.
            batch = [
                Delivery(msgspec.structs.replace(delivery.event, repeated=False), delivery.body)
                for _, delivery in by_sequence[start : start + REDELIVER_BATCH]
            ]
            for service in services:
                mine = [delivery for delivery in batch if delivery.event.type in self._hears[service]]
                answers = await self._deliver(service, mine) if mine else ()
                delivered += [
                    Delivered(each.event.id, each.event.type, service, answer)
                    for each, answer in zip(mine, answers, strict=True)
                ]
        return delivered
