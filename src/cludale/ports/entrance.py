"""The entrance: what is asked of tickets before somebody who may be inside is moved, or gives tickets back.

A call, no event.
"""

from collections.abc import Collection
from typing import Protocol

from cludale.kernel.refusals import RefusedForNow


class EntranceUnreachable(Exception):
    """Tickets gave no answer in time; try again."""


class AlreadyAdmitted(RefusedForNow):
    """Somebody was let in with tickets of this order: `tickets` says which."""

    def __init__(self, order_id: str, numbers: Collection[int], *, but: str) -> None:
        """`but`: what can be done all the same."""
        listed = ", ".join(str(number) for number in sorted(numbers))
        super().__init__(
            f"Somebody was let in with tickets of order {order_id!r} already ({listed}): {but}.",
            orderId=order_id,
            tickets=sorted(numbers),
        )


class Entrance(Protocol):
    """The tickets service, seen from concerts and orders."""

    async def admitted(self, order_id: str) -> frozenset[int]:
        """The numbers of the order's tickets with which somebody was let in. Raises EntranceUnreachable."""
        ...
