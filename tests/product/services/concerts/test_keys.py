"""Key rules: what a key is for never changes, and each has an end that is known."""

from datetime import timedelta

import pytest
from tests.fakes import NOON

from cludale.kernel.principals import Scope
from cludale.kernel.refusals import NotFound
from cludale.services.concerts.events import KeyCreated, KeyRevoked
from cludale.services.concerts.keys import (
    FORGOTTEN_AFTER,
    MOST_KEYS,
    KeyDigest,
    KeyEnded,
    Keys,
    NewKey,
    TooManyKeys,
    create,
    evolve,
    rehash,
    revoke,
    rotate,
    visible,
)

NEW = NewKey(id="key-1", digest="d1", name="door", organizer="acme", scopes=(Scope.DOOR,), only_concert="c1")
NEXT = KeyDigest("key-2", "d2")
MADE = create(Keys(), NEW, now=NOON).state
HOUR = timedelta(hours=1)


def test_a_key_is_made_and_no_event_has_its_digest() -> None:
    decision = create(Keys(), NEW, now=NOON)
    (key,) = decision.state.keys
    assert (key.id, key.digest, key.scopes, key.created_at, key.ends_at) == ("key-1", "d1", (Scope.DOOR,), NOON, None)
    (event,) = decision.events
    assert isinstance(event, KeyCreated)
    assert "d1" not in repr(event)
    assert decision.state.organizers == ("acme",)


def test_a_revoked_key_ends_now_and_only_once() -> None:
    decision = revoke(MADE, "key-1", now=NOON + HOUR)
    assert decision.state.keys[0].ends_at == NOON + HOUR
    assert decision.events == (KeyRevoked(key_id="key-1", organizer="acme", ends_at=NOON + HOUR),)
    again = revoke(decision.state, "key-1", now=NOON + 2 * HOUR)
    assert again.state is decision.state
    assert not again.events


def test_a_key_that_is_there_is_kept_by_another_hash_and_no_event_tells_of_it() -> None:
    decision = rehash(MADE, {"key-1": "d3", "key-9": "d4"})
    assert decision.state.key("key-1").digest == "d3"
    assert [key.id for key in decision.state.keys] == ["key-1"]
    assert not decision.events
    assert rehash(decision.state, {"key-1": "d3"}).state is decision.state


def test_a_key_that_is_to_end_later_can_end_now() -> None:
    later = rotate(MADE, "key-1", NEXT, overlap=HOUR, now=NOON).state
    assert revoke(later, "key-1", now=NOON).state.key("key-1").ends_at == NOON


def test_a_successor_is_for_the_same_and_the_old_one_goes_on_for_the_overlap() -> None:
    decision = rotate(MADE, "key-1", NEXT, overlap=HOUR, now=NOON)
    old, new = decision.state.keys
    assert (new.id, new.digest) == ("key-2", "d2")
    assert (new.name, new.organizer, new.scopes, new.only_concert) == ("door", "acme", (Scope.DOOR,), "c1")
    assert (old.ends_at, new.ends_at) == (NOON + HOUR, None)
    assert [type(event) for event in decision.events] == [KeyCreated, KeyRevoked]


def test_a_key_that_has_ended_gets_no_successor() -> None:
    ended = revoke(MADE, "key-1", now=NOON).state
    with pytest.raises(KeyEnded):
        rotate(ended, "key-1", NEXT, overlap=HOUR, now=NOON)


def test_a_key_that_there_is_not_can_neither_end_nor_go_on() -> None:
    with pytest.raises(NotFound):
        revoke(MADE, "key-9", now=NOON)
    with pytest.raises(NotFound):
        rotate(MADE, "key-9", NEXT, overlap=HOUR, now=NOON)


def test_there_is_a_most_of_them_and_those_that_ended_long_ago_make_room() -> None:
    keys = Keys()
    for i in range(MOST_KEYS):
        event = create(Keys(), NewKey(id=f"key-{i}", digest="", name="n", organizer="a", scopes=()), now=NOON).events[0]
        keys = Keys(keys=(*keys.keys, *evolve(Keys(), event).keys), organizers=("a",))
    new = NewKey(id="key-new", digest="d", name="n", organizer="a", scopes=())
    with pytest.raises(TooManyKeys):
        create(keys, new, now=NOON)
    ended = revoke(keys, "key-0", now=NOON).state
    with pytest.raises(TooManyKeys):
        create(ended, new, now=NOON + FORGOTTEN_AFTER - HOUR)
    made = create(ended, new, now=NOON + FORGOTTEN_AFTER).state
    assert [made.keys[0].id, made.keys[-1].id] == ["key-1", "key-new"]
    assert made.organizers == ("a",)


def test_whose_keys_are_seen_can_be_said_and_the_newest_come_first() -> None:
    other = NewKey(id="key-3", digest="", name="n", organizer="default", scopes=())
    keys = create(MADE, other, now=NOON).state
    assert [key.id for key in visible(keys, None)] == ["key-3", "key-1"]
    assert [key.id for key in visible(keys, "acme")] == ["key-1"]
    assert keys.organizers == ("acme",)
