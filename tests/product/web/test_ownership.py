"""Whose a concert is: asked once, by nobody where there is one organizer, and never guessed."""

from collections.abc import Mapping, Sequence

import msgspec
import pytest

from cludale.kernel.principals import FIRST, SERVICE, Scope
from cludale.ports.programme import ConcertDetails, ProgrammeUnreachable
from cludale.web.ownership import Ownership, OwnerUnknown

ACME = msgspec.structs.replace(FIRST, id="key-1", organizer="acme", scopes=frozenset({Scope.READ}))


class Concerts:
    """A programme that counts who asks it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_away = False

    async def of(self, concert_ids: Sequence[str]) -> Mapping[str, ConcertDetails]:
        if self.is_away:
            raise ProgrammeUnreachable
        self.asked += concert_ids
        known = {"ours": "acme", "ours-too": "acme", "theirs": "default"}
        return {id: ConcertDetails("A", "2099-01-01", organizer=known[id]) for id in concert_ids if id in known}


@pytest.fixture
def concerts() -> Concerts:
    return Concerts()


async def test_of_several_concerts_those_of_the_keys_organizer_are_its_own(concerts: Concerts) -> None:
    ownership = Ownership(concerts, lambda: False)
    assert await ownership.owned(ACME, ["ours", "theirs", "ours-too", "ours"]) == ["ours", "ours-too"]
    assert await ownership.owned(FIRST, ["ours", "theirs"]) == ["theirs"]
    assert concerts.asked == ["ours", "theirs", "ours-too"]


async def test_a_key_for_one_concert_owns_that_one(concerts: Concerts) -> None:
    one = msgspec.structs.replace(ACME, concert_id="ours")
    assert await Ownership(concerts, lambda: False).owned(one, ["ours", "ours-too"]) == ["ours"]


async def test_where_there_is_one_organizer_nobody_is_asked_about_what_it_owns(concerts: Concerts) -> None:
    ownership = Ownership(concerts, lambda: True)
    assert ownership.sees_all(FIRST)
    assert await ownership.owned(FIRST, ["ours", "none"]) == ["ours", "none"]
    assert not ownership.sees_all(ACME)
    assert not ownership.sees_all(msgspec.structs.replace(FIRST, concert_id="theirs"))
    assert concerts.asked == []


async def test_a_service_acts_for_whoever_asked_it(concerts: Concerts) -> None:
    assert await Ownership(concerts, lambda: False).owns(SERVICE, "ours")


async def test_what_is_not_known_is_for_whoever_operates_the_platform_and_asked_again(concerts: Concerts) -> None:
    ownership = Ownership(concerts, lambda: False)
    assert not await ownership.owns(ACME, "none")
    assert await ownership.owns(FIRST, "none")
    assert concerts.asked == ["none", "none"]


async def test_while_concerts_is_away_only_what_was_asked_before_is_known(concerts: Concerts) -> None:
    ownership = Ownership(concerts, lambda: False)
    assert await ownership.owns(ACME, "ours")
    concerts.is_away = True
    assert await ownership.owns(ACME, "ours")
    with pytest.raises(OwnerUnknown):
        await ownership.owns(ACME, "theirs")
