"""Idempotency keys: the first answer to a key is kept, and given again byte for byte.

A refusal that time or stock may undo is not kept: with the same key the same request may be met later.

Where the effect is in the partition of the answer, both commit together (`once`). Where it is in another one, the key
is claimed first and the answer is kept afterwards (`once_across_partitions`): then the effect must be safe to repeat.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import NamedTuple

import msgspec

from cludale.kernel.ids import from_key
from cludale.kernel.refusals import (
    Busy,
    IdempotencyKeyInFlight,
    IdempotencyKeyReused,
    Invalid,
    NotFound,
    Refusal,
    RefusedForNow,
)
from cludale.ports.records import Commit, Committed, Key, Kind, Put, Records, VersionConflict
from cludale.runtime.aggregates import AnsweredBefore

_SINCE_LATER = frozenset({"tickets"})
"""Services that keep answers only since a later version: stores of before have no place for theirs."""
_BESIDE_THEIR_EFFECTS = frozenset({"orders", "tickets"})
"""Services whose answers commit with their effects (`once`). Nothing is claimed first, so they are written once."""


class KeptResponse(msgspec.Struct, frozen=True, gc=False):
    """The HTTP response that was sent."""

    status: int
    body: str


class _Kept(msgspec.Struct, frozen=True, gc=False):
    fingerprint: str | None
    """The hash of the request; None: the claim was given up, so the key is free."""
    answer: KeptResponse | None
    """None: claimed, and not answered yet."""


class _Found(NamedTuple):
    kept: _Kept
    version: int


_NOTHING = _Found(_Kept(None, None), 0)


NOT_KEPT = (Busy, RefusedForNow, NotFound, Invalid)
"""Refusals that leave the key free: those that may pass, and those that a repetition gives again anyway."""


Keep = Callable[[KeptResponse], Put]
"""Makes the record of a response, to be committed with the effect."""


class IdempotencyKeys:
    """The kept answers of one service's routes."""

    def __init__(self, service: str, records: Records) -> None:
        self.kind = self.kind_for(service)
        self._records = records
        self._in_flight: set[str] = set()
        self._decoder = msgspec.json.Decoder(_Kept)

    @staticmethod
    def kind_for(service: str) -> Kind:
        """The kind of record that holds a service's kept answers."""
        return Kind(
            service, "answer", may_lack=service in _SINCE_LATER, is_append_only=service in _BESIDE_THEIR_EFFECTS
        )

    async def once(
        self,
        *,
        route: str,
        key: str,
        request: bytes,
        act: Callable[[Keep], Awaitable[KeptResponse]],
        refuse: Callable[[Refusal], KeptResponse],
        partition: str,
    ) -> KeptResponse:
        """What was answered to this key before, or what `act` answers now.

        `act` commits `keep(answer)` with its effect, in `partition`; raises AnsweredBefore if that conflicts. A
        refusal is an answer too (rendered by `refuse`), save Busy, RefusedForNow, NotFound and Invalid: those are
        raised, and not kept. Raises IdempotencyKeyReused, IdempotencyKeyInFlight.
        """
        at = Key(partition, from_key("answer", route, key))
        fingerprint = sha256(request).hexdigest()
        with self._flight(at.id, key):
            before = self._answer(await self._load(at), key, fingerprint)
            if before is not None:
                return before

            def keep(answer: KeptResponse) -> Put:
                return self._put(at, _Kept(fingerprint, answer), 0)

            try:
                return await act(keep)
            except RefusedForNow:
                # Refused here, and perhaps done meanwhile where the same request was asked at the same time.
                after = self._answer(await self._load(at), key, fingerprint)
                if after is None:
                    raise
                return after
            except NOT_KEPT:
                raise
            except Refusal as refusal:
                answer = refuse(refusal)
                (outcome,) = await self._records.commit([Commit(partition, (keep(answer),))])
                if not isinstance(outcome, VersionConflict):
                    return answer
            except AnsweredBefore:
                pass  # answered below, with what the other one kept
            after = self._answer(await self._load(at), key, fingerprint)
            if after is None:
                raise IdempotencyKeyInFlight(key)
            return after

    async def once_across_partitions(
        self,
        *,
        route: str,
        key: str,
        request: bytes,
        act: Callable[[], Awaitable[KeptResponse]],
        refuse: Callable[[Refusal], KeptResponse],
    ) -> KeptResponse:
        """As `once`, for an effect in other partitions than the answer: `act` may do its work again for the key.

        The key is claimed for this request before `act` begins, so no other request acts under it. What dies in the
        middle leaves the claim, and the same request goes on where it was. Raises as `once` does, and TypeError for a
        service whose answers are written once.
        """
        if self.kind.is_append_only:
            raise TypeError(f"answers of {self.kind.service} are written once, so no key can be claimed first")
        id = from_key("answer", route, key)
        at = Key(id, id)
        fingerprint = sha256(request).hexdigest()
        with self._flight(id, key):
            found = await self._load(at)
            before = self._answer(found, key, fingerprint)
            if before is not None:
                return before
            version = found.version
            if found.kept.fingerprint != fingerprint:
                if not await self._write(at, _Kept(fingerprint, None), version):
                    raise IdempotencyKeyInFlight(key)
                version += 1
            try:
                answer = await act()
            except NOT_KEPT:
                # No answer to keep: whatever comes next may try, unless another has answered meanwhile.
                if not await self._write(at, _Kept(None, None), version):
                    after = self._answer(await self._load(at), key, fingerprint)
                    if after is not None:
                        return after
                raise
            except Refusal as refusal:
                answer = refuse(refusal)
            if await self._write(at, _Kept(fingerprint, answer), version):
                return answer
            after = self._answer(await self._load(at), key, fingerprint)
            if after is None:
                raise IdempotencyKeyInFlight(key)
            return after

    @contextmanager
    def _flight(self, id: str, key: str) -> Iterator[None]:
        if id in self._in_flight:
            raise IdempotencyKeyInFlight(key)
        self._in_flight.add(id)
        try:
            yield
        finally:
            self._in_flight.discard(id)

    async def _load(self, at: Key) -> _Found:
        found = await self._records.get(self.kind, [at])
        if at.id not in found:
            return _NOTHING
        stored = found[at.id]
        return _Found(self._decoder.decode(stored.body), stored.version)

    @staticmethod
    def _answer(found: _Found, key: str, fingerprint: str) -> KeptResponse | None:
        kept = found.kept
        if kept.fingerprint is not None and kept.fingerprint != fingerprint:
            # Claimed and not answered may still come to nothing; then the key is free for this request.
            raise IdempotencyKeyInFlight(key) if kept.answer is None else IdempotencyKeyReused(key)
        return kept.answer

    def _put(self, at: Key, kept: _Kept, expected: int) -> Put:
        return Put(self.kind, at.id, msgspec.json.encode(kept), expected)

    async def _write(self, at: Key, kept: _Kept, expected: int) -> bool:
        (outcome,) = await self._records.commit([Commit(at.partition, (self._put(at, kept, expected),))])
        return isinstance(outcome, Committed)
