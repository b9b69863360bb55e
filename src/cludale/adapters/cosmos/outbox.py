"""The outbox of a container: items that commits leave behind, read for whoever publishes, taken away when published.

One item holds the events of one batch. It goes when all of them are published; until then a crash publishes those
again that were published already.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from cludale.adapters.cosmos import documents
from cludale.adapters.cosmos.account import Account, Refused
from cludale.adapters.cosmos.layout import BATCH_OPERATIONS
from cludale.adapters.cosmos.planning import Delete, Replace
from cludale.adapters.cosmos.stamps import as_text
from cludale.ports.outbox import Listener, Outgoing
from cludale.ports.records import StoreUnavailable
from cludale.runtime.outgoing import Listeners

_log = logging.getLogger(__name__)

DELIVERED_SECONDS = 0.05
"""How long published items wait for others of their partition before they are taken away."""
AGAIN_SECONDS = 1.0
"""How long they wait when they could not be."""
PAGE_ITEMS = 100
"""The most items read at a time: each may hold the events of a whole batch."""

_PENDING = (
    "SELECT TOP {limit} * FROM c WHERE c.kind = @kind AND ARRAY_CONTAINS(@owners, c.owner) AND c.came > @after "
    "ORDER BY c.kind ASC, c.came ASC"
)


class _Item:
    """An outbox item with events that are not all published yet."""

    __slots__ = ("id", "left", "partition")

    def __init__(self, partition: str, id: str, left: set[int]) -> None:
        self.partition = partition
        self.id = id
        self.left = left


class OutboxItems:
    """What is known of the items: whose events were handed out here, and which are published."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._listeners = Listeners()
        self._items: dict[int, _Item] = {}
        """By the position of each event that was handed out and is not published."""
        self._by_id: dict[tuple[str, str], _Item] = {}
        self._published: dict[tuple[str, str], None] = {}
        """Items with nothing left, to be taken away."""
        self._flush: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._closed = False

    def listen(self, listener: Listener) -> None:
        """Tell this one, too."""
        self._listeners.add(listener)

    def tell(self, partition: str, entries: Sequence[Outgoing]) -> None:
        """These were committed, as one item."""
        self._keep(partition, documents.outbox_id(entries[-1].position), entries)
        self._listeners.tell(entries)

    def _keep(self, partition: str, id: str, entries: Sequence[Outgoing]) -> _Item:
        item = self._by_id.get((partition, id))
        if item is None:
            item = _Item(partition, id, {entry.position for entry in entries})
            self._by_id[partition, id] = item
            self._items.update((entry.position, item) for entry in entries)
        return item

    async def pending(self, owners: Collection[str], after: int, limit: int) -> list[Outgoing]:
        """Up to `limit` events past position `after` that are not published yet. Raises StoreUnavailable."""
        top = min(limit, PAGE_ITEMS)
        found: list[Outgoing] = []
        while True:
            page = await self._account.query_everywhere(
                _PENDING.format(limit=top),
                {"kind": documents.OUTBOX, "owners": sorted(owners), "after": as_text(after)},
            )
            page.sort(key=lambda document: str(document["came"]))
            for document in page[:top]:
                found += self._unpublished(document, after)
            if len(found) >= limit or len(page) < top:
                return found[:limit]
            after = documents.outgoing(page[top - 1])[-1].position

    def _unpublished(self, document: Mapping[str, Any], after: int) -> list[Outgoing]:
        place = (document["pk"], document["id"])
        if place in self._published:
            return []
        entries = documents.outgoing(document)
        item = self._keep(*place, entries)
        return [entry for entry in entries if entry.position > after and entry.position in item.left]

    def delivered(self, positions: Sequence[int]) -> None:
        """These are published; items with nothing left are taken away soon."""
        for position in positions:
            item = self._items.pop(position, None)
            if item is None:
                continue
            item.left.discard(position)
            if not item.left:
                place = (item.partition, item.id)
                self._by_id.pop(place, None)
                self._published[place] = None
        if self._published:
            self._flush_in(DELIVERED_SECONDS)

    def _flush_in(self, seconds: float) -> None:
        if self._flush is None and self._flushing is None and not self._closed:
            self._flush = asyncio.get_running_loop().call_later(seconds, self._begin_flush)

    def _begin_flush(self) -> None:
        self._flush = None
        self._flushing = asyncio.get_running_loop().create_task(self._flush_now())

    async def _flush_now(self) -> None:
        wait = DELIVERED_SECONDS
        try:
            await self._take_away()
        except StoreUnavailable as away:
            _log.warning("published events can't be taken from the outbox yet: %s", away)
            wait = AGAIN_SECONDS
        finally:
            self._flushing = None
        if self._published:
            self._flush_in(wait)

    async def _take_away(self) -> None:
        by_partition: dict[str, list[str]] = {}
        for partition, id in self._published:
            by_partition.setdefault(partition, []).append(id)
        chunks = [
            (partition, ids[at : at + BATCH_OPERATIONS])
            for partition, ids in by_partition.items()
            for at in range(0, len(ids), BATCH_OPERATIONS)
        ]
        done = await asyncio.gather(*(self._delete(*chunk) for chunk in chunks), return_exceptions=True)
        for result in done:
            if isinstance(result, BaseException):
                raise result

    async def _delete(self, partition: str, ids: Sequence[str]) -> None:
        try:
            await self._account.write(partition, [Delete(id) for id in ids])
        except Refused:
            if len(ids) > 1:  # one of them is gone, by another replica's hand
                for id in ids:
                    await self._delete(partition, [id])
                return
        for id in ids:
            self._published.pop((partition, id), None)

    async def close(self) -> bool:
        """Take away what is published. Is anything left? Raises StoreUnavailable."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if self._flushing is not None:
            await asyncio.wait([self._flushing])
        self._closed = True
        if self._flush is not None:
            self._flush.cancel()
        await self._take_away()
        for item in list(self._by_id.values()):
            await self._shrink(item)
        return bool(self._by_id)

    async def _shrink(self, item: _Item) -> None:
        """Take the published events out of an item that has others left."""
        document = await self._account.read(item.partition, item.id)
        if document is None:
            return
        entries = documents.outgoing(document)
        left = [entry for entry in entries if entry.position in item.left]
        if left and len(left) < len(entries):
            smaller = documents.outbox(item.partition, document["owner"], left, tx=document["tx"])
            smaller |= {"id": document["id"], "came": document["came"]}
            with suppress(Refused):  # another replica has it now
                await self._account.write(item.partition, [Replace(smaller, document["_etag"])])
