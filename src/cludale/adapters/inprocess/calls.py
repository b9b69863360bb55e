"""Sales, SaleClosing, Charges, CallOffs, Contacts, Entrance, Keys and Programme by a plain call.

Bound when all is put together: the callee may be built later.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from cludale.kernel.allocation import Allocation
from cludale.kernel.refusals import Busy, Refusal
from cludale.ports.calling_off import Progress, SalesNotClosed
from cludale.ports.charges import ChargeQuestion, ChargeStanding, ChargesUnreachable
from cludale.ports.contacts import Contact, ContactsUnreachable
from cludale.ports.entrance import EntranceUnreachable
from cludale.ports.keys import KeyListing, Keys, KeysUnreachable
from cludale.ports.programme import ConcertDetails
from cludale.ports.records import StoreUnavailable
from cludale.ports.sales import SaleOutlook


class InProcessSales:
    """The concerts service of this process."""

    def __init__(self, outlook: Callable[[str, str, str], Awaitable[SaleOutlook]]) -> None:
        self._outlook = outlook

    async def outlook(self, allocation: Allocation) -> SaleOutlook:
        """What would come of money for these seats."""
        return await self._outlook(allocation.concert_id, allocation.section, allocation.reservation_id)


class InProcessCharges:
    """The payments service of this process."""

    def __init__(
        self, compare: Callable[[Sequence[ChargeQuestion]], Awaitable[Mapping[str, ChargeStanding]]] | None = None
    ) -> None:
        """`compare` can be bound later; without it there is no payments service in reach."""
        self.bound = compare

    async def compare(self, questions: Sequence[ChargeQuestion]) -> Mapping[str, ChargeStanding]:
        """How the money of these orders stands. Raises ChargesUnreachable."""
        if self.bound is None:
            raise ChargesUnreachable("there is no payments service in reach")
        return await self.bound(questions)


class InProcessClosing:
    """The concerts service of this process."""

    def __init__(self, close: Callable[[str], Awaitable[None]]) -> None:
        self._close = close

    async def close_sales(self, concert_id: str) -> None:
        """From the answer on nobody gets seats of this concert. Raises SalesNotClosed."""
        try:
            await self._close(concert_id)
        except (StoreUnavailable, Refusal) as error:
            raise SalesNotClosed(str(error)) from error


class InProcessCallOffs:
    """The orders service of this process."""

    def __init__(self, progress: Callable[[str, int], Awaitable[Progress | None]]) -> None:
        self._progress = progress

    async def progress(self, concert_id: str, revision: int) -> Progress | None:
        """How far the orders have come after this change of the concert."""
        return await self._progress(concert_id, revision)


class InProcessEntrance:
    """The tickets service of this process."""

    def __init__(self, admitted: Callable[[str], Awaitable[frozenset[int]]]) -> None:
        self._admitted = admitted

    async def admitted(self, order_id: str) -> frozenset[int]:
        """The tickets with which somebody was let in. Raises EntranceUnreachable."""
        try:
            return await self._admitted(order_id)
        except (StoreUnavailable, Busy) as error:
            raise EntranceUnreachable(str(error)) from error


class InProcessContacts:
    """The orders service of this process."""

    def __init__(self, of: Callable[[Sequence[str]], Awaitable[Mapping[str, Contact]]]) -> None:
        self._of = of

    async def of(self, order_ids: Sequence[str]) -> Mapping[str, Contact]:
        """The contacts of these orders. Raises ContactsUnreachable."""
        try:
            return await self._of(order_ids)
        except Busy as error:
            raise ContactsUnreachable(str(error)) from error


class InProcessKeys:
    """The concerts service of this process."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def listing(self, known: KeyListing | None) -> KeyListing:
        """All keys as they are now. Raises KeysUnreachable."""
        try:
            return await self._keys.listing(known)
        except StoreUnavailable as error:
            raise KeysUnreachable(str(error)) from error

    async def used(self, last: Mapping[str, datetime], rehashed: Mapping[str, str]) -> None:
        """Note when these keys were used last, and their new hashes. Raises KeysUnreachable."""
        try:
            await self._keys.used(last, rehashed)
        except (StoreUnavailable, Busy) as error:
            raise KeysUnreachable(str(error)) from error


class InProcessProgramme:
    """The concerts service of this process."""

    def __init__(self, of: Callable[[Sequence[str]], Awaitable[Mapping[str, ConcertDetails]]]) -> None:
        self._of = of

    async def of(self, concert_ids: Sequence[str]) -> Mapping[str, ConcertDetails]:
        """The details of these concerts, as far as they exist."""
        return await self._of(concert_ids)
