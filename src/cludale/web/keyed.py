"""Idempotency-Key over HTTP: the kept answer of a key, or the answer that is made now and kept."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from cludale.kernel.refusals import Invalid, Refusal
from cludale.ports.records import Put
from cludale.runtime.idempotency import IdempotencyKeys, Keep, KeptResponse
from cludale.web.problems import Problems
from cludale.web.responses import JSON, PROBLEM, Response

S = TypeVar("S")
KeepWith = Callable[[S], Put]
"""Makes the record of the answer that a state comes to."""
MAX_KEY = 255
_encode = msgspec.json.Encoder().encode


class Keyed:
    """The keyed routes of one service."""

    def __init__(self, keys: IdempotencyKeys, problems: Problems) -> None:
        self._keys = keys
        self._problems = problems

    @staticmethod
    def kept(answer: Response) -> KeptResponse:
        """The answer as it is kept."""
        return KeptResponse(answer.status, answer.body.decode())

    async def once(
        self, route: str, key: str, body: Any, act: Callable[[Keep], Awaitable[Response]], *, partition: str
    ) -> Response:
        """What this key was answered before, or what `act` answers now; `act` keeps it with its effect.

        Both are in `partition`, which follows from the key. Two bodies are the same if they say the same, however
        they are written. Raises Invalid for an unusable key, IdempotencyKeyReused, IdempotencyKeyInFlight.
        """
        _check(key)

        async def answered(keep: Keep) -> KeptResponse:
            return self.kept(await act(keep))

        return _as_response(
            await self._keys.once(
                route=route, key=key, request=_encode(body), act=answered, refuse=self._refused, partition=partition
            )
        )

    async def changed(
        self,
        route: str,
        key: str | None,
        body: Any,
        change: Callable[[KeepWith[S] | None], Awaitable[S]],
        shown: Callable[[S], Response],
        *,
        partition: str,
    ) -> Response:
        """`once` for a change of one thing, whose new state is `shown`; without a key it is just done.

        `change` is given what keeps the answer, and commits that with the state.
        """
        if key is None:
            return shown(await change(None))

        async def act(keep: Keep) -> Response:
            return shown(await change(lambda state: keep(self.kept(shown(state)))))

        return await self.once(route, key, body, act, partition=partition)

    async def once_across_partitions(
        self, route: str, key: str | None, body: Any, act: Callable[[], Awaitable[Response]]
    ) -> Response:
        """`once` for an effect in other partitions than its answer; the effect must be safe to repeat.

        Without a key it is just done.
        """
        if key is None:
            return await act()
        _check(key)

        async def answered() -> KeptResponse:
            return self.kept(await act())

        return _as_response(
            await self._keys.once_across_partitions(
                route=route, key=key, request=_encode(body), act=answered, refuse=self._refused
            )
        )

    def _refused(self, refusal: Refusal) -> KeptResponse:
        return self.kept(self._problems.answer(refusal))


def _check(key: str) -> None:
    if not 1 <= len(key) <= MAX_KEY or not (key.isascii() and key.isprintable()):
        raise Invalid(("Idempotency-Key", f"must have 1 to {MAX_KEY} printable ASCII characters"))


def _as_response(kept: KeptResponse) -> Response:
    return Response(kept.status, kept.body.encode(), JSON if kept.status < 400 else PROBLEM)
