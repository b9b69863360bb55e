"""Reading records by id: whatever is asked for while a query is under way becomes one query together."""

import asyncio
from collections.abc import Mapping, Sequence

from cludale.adapters.postgres.connection import ReadingConnection
from cludale.adapters.postgres.queries import stored
from cludale.adapters.postgres.schema import Table
from cludale.adapters.postgres.values import encoded_text
from cludale.ports.records import Key, Kind, Stored
from cludale.runtime.batching import BatchingQueue

IDS_LIMIT = 5_000
"""Ids in one query; a call that asks for more has one of its own."""
WAITING_LIMIT = 100_000


class Lookups:
    """`get` over a few lines. A query begins after the call, so it sees all that was committed before."""

    def __init__(self, lines: Sequence[ReadingConnection], tables: Mapping[Kind, Table]) -> None:
        self._lines: asyncio.Queue[ReadingConnection] = asyncio.Queue()
        for line in lines:
            self._lines.put_nowait(line)
        self._tables = tables
        self._queue: BatchingQueue[Kind, str, Stored | None] = BatchingQueue(
            self._read, of="reads", batch_limit=IDS_LIMIT, waiting_limit=WAITING_LIMIT, at_once=len(lines)
        )

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        """Those of the records that exist, by id. Raises StoreUnavailable."""
        if kind not in self._tables:
            raise KeyError(kind)
        if not keys:
            return {}
        found = await self._queue.submit(kind, [key.id for key in keys])
        return {each.id: each for each in found if each is not None}

    async def _read(self, kind: Kind, ids: Sequence[str]) -> Sequence[Stored | None]:
        asked = list({encoded_text(id): None for id in ids})
        sql = self._tables[kind].read
        line = await self._lines.get()
        try:
            rows = await line.read(lambda connection: connection.fetch(sql, asked))
        finally:
            self._lines.put_nowait(line)
        found = {each.id: each for each in map(stored, rows)}
        return [found.get(id) for id in ids]

    async def close(self) -> None:
        """Return when nothing is under way."""
        await self._queue.close()
