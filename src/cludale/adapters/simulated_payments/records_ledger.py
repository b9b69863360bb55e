"""A ledger over any store of records, for payments in several processes; the store is the ledger's own.

Each key is a partition, so rows change one by one: what a transaction of a file does for many at once, the keys do
here. Asked again under its key, the provider says what was done before.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec

from cludale.adapters.simulated_payments.ledger import Change, LedgerBroken, LedgerPage
from cludale.adapters.simulated_payments.rules import LedgerRow
from cludale.ports.records import Commit, Committed, Key, Kind, Put, Query, Records, StoreUnavailable

CHARGE = Kind("provider", "charge")

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(LedgerRow)


class OwnStore(Records, Protocol):
    """A store that the ledger has for itself."""

    async def start(self) -> None:
        """Open it."""
        ...

    async def close(self) -> None:
        """Close it."""
        ...


class RecordsLedger:
    """The rows as records. The store is opened when it is first needed."""

    def __init__(self, store: OwnStore) -> None:
        self._store = store
        self._opening = asyncio.Lock()
        self._is_open = False

    async def insert_all(self, rows: Sequence[LedgerRow]) -> bool:
        """Write rows under keys that are all new. False if one isn't; the others are written all the same."""
        return await self._commit([(row, 0) for row in rows])

    async def change_all(self, changes: Sequence[tuple[str, Change]]) -> None:
        """Put what each change makes of the row under its key, in order. Each is called once.

        Raises LedgerBroken, also when another process has changed one meanwhile: some rows may be changed then.
        """
        await self._open()
        keys = dict.fromkeys(key for key, _ in changes)
        try:
            found = await self._store.get(CHARGE, [Key(key, key) for key in keys])
        except StoreUnavailable as away:
            raise LedgerBroken(str(away)) from away
        rows = {key: _decoder.decode(stored.body) for key, stored in found.items()}
        changed: dict[str, LedgerRow] = {}
        for key, change in changes:
            after = change(rows.get(key))
            if after is not None:
                rows[key] = changed[key] = after
        if not await self._commit([(row, found[key].version if key in found else 0) for key, row in changed.items()]):
            raise LedgerBroken("another process asked under the same key")

    async def page(self, since: int, until: int, *, after: str | None, limit: int) -> LedgerPage:
        """A page of the rows that began in that time, as they came: all are read, and the others left out."""
        await self._open()
        try:
            page = await self._store.find(CHARGE, Query(after=after, limit=limit))
        except StoreUnavailable as away:
            raise LedgerBroken(str(away)) from away
        rows = [_decoder.decode(stored.body) for stored in page.items]
        return LedgerPage([row for row in rows if since <= row.at < until], page.next)

    async def rows(self, keys: Sequence[str]) -> Sequence[LedgerRow]:
        """The rows with these keys, as far as they exist."""
        await self._open()
        try:
            found = await self._store.get(CHARGE, [Key(key, key) for key in keys])
        except StoreUnavailable as away:
            raise LedgerBroken(str(away)) from away
        return [_decoder.decode(stored.body) for stored in found.values()]

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

    async def _commit(self, rows: Sequence[tuple[LedgerRow, int]]) -> bool:
        await self._open()
        commits = [Commit(row.key, (Put(CHARGE, row.key, _encode(row), version),)) for row, version in rows]
        try:
            outcomes = await self._store.commit(commits)
        except StoreUnavailable as away:
            raise LedgerBroken(str(away)) from away
        return all(isinstance(outcome, Committed) for outcome in outcomes)

    async def _open(self) -> None:
        async with self._opening:
            if not self._is_open:
                try:
                    await self._store.start()
                except StoreUnavailable as away:
                    raise LedgerBroken(str(away)) from away
                self._is_open = True
