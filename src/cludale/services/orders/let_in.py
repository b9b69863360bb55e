"""Whom the door let in: buyers give no ticket back with which somebody came in. Asks tickets, by a call.

Between question and answer somebody may still come in; their ticket is void then, as any other that is given back.
"""

from collections.abc import Iterable

from msgspec import UNSET

from cludale.kernel.refusals import Busy
from cludale.ports.entrance import AlreadyAdmitted, Entrance, EntranceUnreachable
from cludale.services.orders.order import Order, Status

_ONLY_THE_ORGANIZER = "only the organizer can give them back"


class LetIn:
    """What the door says of orders."""

    def __init__(self, entrance: Entrance | None) -> None:
        """`entrance`: who knows whom the door let in; None: nobody does."""
        self._entrance = entrance

    async def numbers(self, order: Order) -> frozenset[int]:
        """The numbers of its tickets with which somebody was let in. Raises Busy."""
        if self._entrance is None or order.status is not Status.PAID:
            return frozenset()
        try:
            return await self._entrance.admitted(order.id)
        except EntranceUnreachable as error:
            raise Busy("It can't be asked whom the door let in; try again in a moment.") from error

    async def check_nobody(self, orders: Iterable[Order]) -> None:
        """Was nobody let in with tickets of these? Raises AlreadyAdmitted, Busy."""
        for order in orders:
            admitted = await self.numbers(order)
            if admitted:
                raise AlreadyAdmitted(order.id, admitted, but=_ONLY_THE_ORGANIZER)


def check_last_refund(order: Order, admitted: frozenset[int]) -> None:
    """Are enough tickets left for whom the door let in, and are theirs not among those that are given back? Where seats
    have no numbers, theirs are void last. Raises AlreadyAdmitted.
    """
    part = order.refunds[-1].part
    wrong = admitted & set(part.numbers) if part.numbers is not UNSET else admitted
    if wrong and (part.numbers is not UNSET or part.held < len(admitted)):
        raise AlreadyAdmitted(order.id, wrong, but=_ONLY_THE_ORGANIZER)
