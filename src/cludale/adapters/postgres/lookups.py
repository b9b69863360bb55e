"""Reading records by id: whatever is asked for while a query is under way becomes one query together."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cludale.adapters.postgres.connection import Line
from cludale.adapters.postgres.queries import stored
from cludale.adapters.postgres.schema import Table
from cludale.adapters.postgres.values import encoded_text
from cludale.ports.records import Key, Kind, Stored, StoreUnavailable

WAITING_LIMIT = 20_000
IDS_LIMIT = 5_000
"""Ids in one query; a call that asks for more has one of its own."""


class _Asked(NamedTuple):
    kind: Kind
    ids: Sequence[str]
    answer: "asyncio.Future[Mapping[str, Stored]]"


class Lookups:
    """`get` over a few lines. A query begins after the call, so it sees all that was committed before."""

    def __init__(self, lines: Sequence[Line], tables: Mapping[Kind, Table]) -> None:
        self._idle = list(lines)
        self._tables = tables
        self._waiting: deque[_Asked] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        """Those of the records that exist, by id. Raises StoreUnavailable."""
        if kind not in self._tables:
            raise KeyError(kind)
        if not keys:
            return {}
        if len(self._waiting) >= WAITING_LIMIT:
            raise StoreUnavailable(f"{len(self._waiting)} reads wait already")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Mapping[str, Stored]] = loop.create_future()
        self._waiting.append(_Asked(kind, [key.id for key in keys], answer))
        if self._idle:
            task = loop.create_task(self._serve(self._idle.pop()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _serve(self, line: Line) -> None:
        try:
            while self._waiting:
                asked = self._take()
                try:
                    found = await self._read(line, asked)
                except Exception as error:  # noqa: BLE001 - not swallowed: whoever asked gets it
                    for each in asked:
                        if not each.answer.done():
                            each.answer.set_exception(error)
                    continue
                for _, ids, answer in asked:
                    if not answer.done():
                        answer.set_result({id: found[id] for id in ids if id in found})
        finally:
            self._idle.append(line)

    def _take(self) -> Sequence[_Asked]:
        """The next one, and all others that ask for the same kind."""
        first = self._waiting.popleft()
        taken, rest = [first], deque[_Asked]()
        size = len(first.ids)
        while self._waiting:
            asked = self._waiting.popleft()
            if asked.kind is first.kind and size + len(asked.ids) <= IDS_LIMIT:
                taken.append(asked)
                size += len(asked.ids)
            else:
                rest.append(asked)
        self._waiting = rest
        return taken

    async def _read(self, line: Line, asked: Sequence[_Asked]) -> Mapping[str, Stored]:
        ids = list({encoded_text(id): None for each in asked for id in each.ids})
        sql = self._tables[asked[0].kind].read
        rows = await line.read(lambda connection: connection.fetch(sql, ids))
        found = map(stored, rows)
        return {each.id: each for each in found}

    async def close(self) -> None:
        """Return when nothing is under way."""
        if self._tasks:
            await asyncio.wait(self._tasks)
