"""Idempotency keys: the first answer to a key is kept with its effect, and given again byte for byte."""

from collections.abc import Awaitable, Callable
from hashlib import sha256

import msgspec

from cludale.kernel.ids import from_key
from cludale.kernel.refusals import Busy, IdempotencyKeyInFlight, IdempotencyKeyReused, Invalid, NotFound, Refusal
from cludale.ports.records import Commit, Key, Kind, Put, Records, VersionConflict


class Answered(msgspec.Struct, frozen=True, gc=False):
    """An HTTP answer as it was given."""

    status: int
    body: str


class _Kept(msgspec.Struct, frozen=True, gc=False):
    fingerprint: str
    answer: Answered


class AnsweredBefore(Exception):
    """A commit found an answer to its key already there: another did the work first."""


Keep = Callable[[Answered], Put]
"""Makes the record of an answer, to be committed with the effect."""


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
        return Kind(service, "answer")

    async def once(
        self,
        *,
        route: str,
        key: str,
        request: bytes,
        act: Callable[[Keep], Awaitable[Answered]],
        refuse: Callable[[Refusal], Answered],
    ) -> Answered:
        """What was answered to this key before, or what `act` answers now.

        `act` commits `keep(answer)` with its effect; raises AnsweredBefore if that conflicts. A refusal is
        an answer too (rendered by `refuse`), save Busy, NotFound and Invalid: those are raised, and not kept.
        Raises IdempotencyKeyReused, IdempotencyKeyInFlight.
        """
        id = from_key("answer", route, key)
        fingerprint = sha256(request).hexdigest()
        if id in self._in_flight:
            raise IdempotencyKeyInFlight(key)
        self._in_flight.add(id)
        try:
            before = await self._before(id, key, fingerprint)
            if before is not None:
                return before

            def keep(answer: Answered) -> Put:
                return Put(self.kind, id, msgspec.json.encode(_Kept(fingerprint, answer)), 0)

            try:
                return await act(keep)
            except (Busy, NotFound, Invalid):
                raise  # no answer yet, or one that is the same again by itself: nothing to keep
            except Refusal as refusal:
                answer = refuse(refusal)
                (outcome,) = await self._records.commit([Commit(id, (keep(answer),))])
                if not isinstance(outcome, VersionConflict):
                    return answer
            except AnsweredBefore:
                pass  # answered below, with what the other one kept
            after = await self._before(id, key, fingerprint)
            if after is None:
                raise IdempotencyKeyInFlight(key)
            return after
        finally:
            self._in_flight.discard(id)

    async def _before(self, id: str, key: str, fingerprint: str) -> Answered | None:
        found = await self._records.get(self.kind, [Key(id, id)])
        if id not in found:
            return None
        kept = self._decoder.decode(found[id].body)
        if kept.fingerprint != fingerprint:
            raise IdempotencyKeyReused(key)
        return kept.answer
