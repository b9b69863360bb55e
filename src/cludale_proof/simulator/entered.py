"""Orders with whose tickets somebody came in: a buyer who asks for the money after that does not get it.

A buyer who asked before, and is answered after, may get it: the door is looked at, not locked.
"""

from cludale.kernel.carts import cart_of
from cludale.kernel.events import Envelope
from cludale.services.orders.events import CancelReason


class Entered:
    """What the door let in, and which buyers had asked before that."""

    def __init__(self) -> None:
        self._orders: set[str] = set()
        self._asked_before: set[str] = set()
        """Orders and carts."""

    def asks(self, id: str) -> None:
        """The buyer of this order or cart is about to ask for it to be cancelled."""
        if id not in self._orders:
            self._asked_before.add(cart_of(id) or id)

    def happened(self, event: Envelope) -> str | None:
        """An event became true in this very moment; what is wrong with that, if anything."""
        id = event.correlationid or ""
        match event.type:
            case "TicketAdmitted":
                self._orders.add(id)
            case "AdmissionUndone":
                self._orders.discard(id)
            case "OrderCancelled" if event.data.reason is CancelReason.BUYER and id in self._orders:
                if (cart_of(id) or id) not in self._asked_before:
                    return f"order {id}: its buyer gave back tickets with which somebody had come in"
            case _:
                pass
        return None
