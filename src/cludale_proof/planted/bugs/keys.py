"""Idempotency keys."""

from contextlib import ExitStack
from typing import Any

from cludale.kernel.refusals import Busy, Invalid, NotFound, Refusal
from cludale.runtime import idempotency
from cludale_proof.planted.planting import bug, swap


@bug("keys: another body gets the first one's answer")
def _(stack: ExitStack) -> None:
    class Constant:
        def hexdigest(self) -> str:
            return "same"

    swap(stack, idempotency, "sha256", lambda request: Constant())


@bug("keys: a refusal that time or stock undoes is kept")
def _(stack: ExitStack) -> None:
    swap(stack, idempotency, "NOT_KEPT", (Busy, NotFound, Invalid))


@bug("keys: a refusal is not kept")
def _(stack: ExitStack) -> None:
    right = idempotency.IdempotencyKeys.once

    async def wrong(self: Any, *, route: str, key: str, request: bytes, act: Any, refuse: Any, partition: str) -> Any:
        refused: list[Any] = []

        async def noted(keep: Any) -> Any:
            try:
                return await act(keep)
            except Busy:
                raise
            except Refusal as refusal:
                refused.append(refuse(refusal))
                raise Busy("not kept") from refusal

        try:
            return await right(
                self, route=route, key=key, request=request, act=noted, refuse=refuse, partition=partition
            )
        except Busy:
            if refused:
                return refused[0]
            raise

    swap(stack, idempotency.IdempotencyKeys, "once", wrong)
