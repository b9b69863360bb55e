"""Whose a concert is, for the services that keep what belongs to one. No HTTP.

A concert stays its organizer's, so what was asked once is remembered; where there is one organizer, nothing is asked.
"""

from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from cludale.kernel.principals import DEFAULT_ORGANIZER, Principal, PrincipalKind, Scope
from cludale.kernel.refusals import Busy
from cludale.ports.programme import Programme, ProgrammeUnreachable
from cludale.ports.seats import ConcertNotFound
from cludale.runtime.recent import Recent

REMEMBERED = 10_000
PAGES = 20
"""How many pages of a collection one request looks through for what is its own."""

T = TypeVar("T")


class OwnerUnknown(Busy):
    """Who owns this can't be known at the moment; try again."""

    def __init__(self) -> None:
        super().__init__("Whose this is can't be known at the moment: concerts gives no answer. Try again.")


class Ownership:
    """Knows whose concerts are."""

    def __init__(self, programme: Programme, has_one_organizer: Callable[[], bool]) -> None:
        self._programme = programme
        self._has_one_organizer = has_one_organizer
        self._remembered: Recent[str, str] = Recent(REMEMBERED)

    def sees_all(self, principal: Principal) -> bool:
        """Is everything that there is its own?"""
        if principal.kind is PrincipalKind.SERVICE:
            return True
        return principal.concert_id is None and principal.organizer == DEFAULT_ORGANIZER and self._has_one_organizer()

    async def owned(self, principal: Principal, concert_ids: Iterable[str]) -> Collection[str]:
        """Which of these concerts are its own. Raises OwnerUnknown.

        One of which nothing is known is nobody's: whoever operates the platform sees to it.
        """
        wanted = list(dict.fromkeys(concert_ids))
        if self.sees_all(principal):
            return wanted
        unknown = [each for each in wanted if each not in self._remembered]
        if unknown:
            try:
                found = await self._programme.of(unknown)
            except ProgrammeUnreachable as error:
                raise OwnerUnknown from error
            self._remembered.remember({id: concert.organizer for id, concert in found.items()})
        operates = Scope.OPERATE in principal.scopes and principal.concert_id is None
        organizers = [(id, self._remembered.get(id)) for id in wanted]
        return [
            id for id, organizer in organizers if (operates if organizer is None else principal.owns(organizer, id))
        ]

    async def owns(self, principal: Principal, concert_id: str) -> bool:
        """Is this concert its own? Raises OwnerUnknown."""
        return bool(await self.owned(principal, (concert_id,)))

    async def check(self, principal: Principal, concert_id: str) -> None:
        """Raises ConcertNotFound for what is not its own, as if there were none; OwnerUnknown."""
        if not await self.owns(principal, concert_id):
            raise ConcertNotFound(concert_id)

    async def of(self, principal: Principal, items: Iterable[T], concert_of: Callable[[T], str]) -> list[T]:
        """The items whose concert is the principal's own. Raises OwnerUnknown."""
        among = list(items)
        owned = await self.owned(principal, map(concert_of, among))
        return [each for each in among if concert_of(each) in owned]
