"""The state API of a sidecar: reads of many keys, and transactions that hold only if nothing has changed meanwhile."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from cludale.adapters.dapr.sidecar import Sidecar, SidecarAway
from cludale.adapters.dapr.state.dialects import Dialect
from cludale.ports.records import StoreUnavailable
from cludale.web.http1 import ClientResponse

KEYS_A_READ = 100
"""So that an answer stays far below what one may be."""
READ_SECONDS = 10.0
WRITE_SECONDS = 15.0

_CONFLICTS = (b"etag mismatch", b"no item was updated", b"status code 412", b"status code 409")
"""How stores say that a key is not as it was read: all with ERR_STATE_TRANSACTION, PostgreSQL v2 with the second where
a key without an ETag is there already, Cosmos DB with the status of the operation that failed."""


class Held(NamedTuple):
    """A value as it was read."""

    etag: str
    value: msgspec.Raw


class Write(NamedTuple):
    """Set `key`, if its ETag is still this one; None: if there is no such key."""

    key: str
    value: bytes
    etag: str | None


class Conflict(Exception):
    """Nothing was written: a key is not as it was read."""


class TooLarge(Exception):
    """The transaction is more than the sidecar takes; it was not sent."""


class Unanswered(Exception):
    """No answer came: the write may have been done, or not."""


class _Keys(msgspec.Struct):
    keys: Sequence[str]


class _Found(msgspec.Struct):
    key: str
    data: msgspec.Raw = msgspec.Raw(b"null")
    etag: str | None = None
    error: str | None = None


class _Options(msgspec.Struct):
    concurrency: str = "first-write"


class _Request(msgspec.Struct, omit_defaults=True):
    key: str
    value: msgspec.Raw
    options: _Options
    etag: str | None = None


class _Operation(msgspec.Struct):
    request: _Request
    operation: str = "upsert"


class _Transaction(msgspec.Struct, omit_defaults=True):
    operations: Sequence[_Operation]
    metadata: Mapping[str, str] = {}


_encode = msgspec.json.Encoder().encode
_found = msgspec.json.Decoder(list[_Found])
_FIRST_WRITE = _Options()


class StateApi:
    """One state store behind the sidecar."""

    def __init__(self, sidecar: Sidecar, store: str, dialect: Dialect) -> None:
        self._sidecar = sidecar
        self._dialect = dialect
        self._path = f"/v1.0/state/{quote(store, safe='')}"
        self._store = store

    async def read(self, keys: Sequence[str]) -> Mapping[str, Held]:
        """Those of the keys that there are. Raises StoreUnavailable."""
        held: dict[str, Held] = {}
        asked = {self._dialect.key(key): key for key in keys}
        there = list(asked)
        path = f"{self._path}/bulk{self._dialect.query}"
        for at in range(0, len(there), KEYS_A_READ):
            body = _encode(_Keys(there[at : at + KEYS_A_READ]))
            try:
                answer = await self._sidecar.ask("POST", path, body, timeout_seconds=READ_SECONDS, repeatable=True)
            except SidecarAway as away:
                raise StoreUnavailable(str(away)) from away
            if answer.status != 200:
                raise self._unavailable(answer)
            try:
                found = _found.decode(answer.body)
            except msgspec.MsgspecError as error:
                raise StoreUnavailable(f"the state store {self._store!r} can't be understood: {error}") from error
            for each in found:
                if each.error:
                    raise StoreUnavailable(f"the state store {self._store!r} can't read {each.key!r}: {each.error}")
                if each.etag is not None:
                    held[asked[each.key]] = Held(each.etag, each.data)
        return held

    async def write(self, writes: Sequence[Write]) -> None:
        """All of them or none. Raises Conflict, TooLarge, Unanswered, StoreUnavailable (then nothing is written)."""
        # in one order everywhere: two transactions never wait for each other
        operations = [
            _Operation(_Request(self._dialect.key(key), msgspec.Raw(value), _FIRST_WRITE, etag))
            for key, value, etag in sorted(writes)
        ]
        partition, most = self._dialect.partition, self._dialect.transaction_operations
        if most is not None and len(operations) > most:
            raise TooLarge(f"a transaction of {len(operations)} writes, {most} are the most")
        body = _encode(_Transaction(operations, {} if partition is None else {"partitionKey": partition}))
        if len(body) > self._dialect.transaction_bytes:
            raise TooLarge(f"a transaction of {len(body)} bytes, {self._dialect.transaction_bytes} are the most")
        try:
            answer = await self._sidecar.ask("POST", f"{self._path}/transaction", body, timeout_seconds=WRITE_SECONDS)
        except SidecarAway as away:
            raise Unanswered(str(away)) from away
        if 200 <= answer.status < 300:
            return
        if any(words in answer.body for words in _CONFLICTS):
            raise Conflict
        if answer.status >= 500:
            raise Unanswered(str(self._unavailable(answer)))
        raise self._unavailable(answer)

    def _unavailable(self, answer: ClientResponse) -> StoreUnavailable:
        return StoreUnavailable(f"the state store {self._store!r} answered {answer.status}: {answer.body[:300]!r}")
