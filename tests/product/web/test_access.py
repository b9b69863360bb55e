"""Credentials: the first key opens everything, others what their scopes say, an order's token that order."""

from datetime import timedelta

import pytest
from tests.fakes import NOON, ManualClock

from cludale.kernel.principals import ALL_SCOPES, FIRST, SERVICE, Principal, Scope
from cludale.kernel.refusals import NotFound
from cludale.ports.keys import KeyListing, ListedKey
from cludale.web.access import Access
from cludale.web.keyring import FRESH_SECONDS, KeyRing, KeysUnknown
from cludale.web.problems import ScopeMissing, Unauthorized

ACCESS = Access(organizer_key="open-sesame", token_key="secret")
BAD = [
    None,
    "",
    "Bearer",
    "Bearer ",
    "Bearer open",
    "Bearer open-sesame2",
    "open-sesame",
    "Basic open-sesame",
    "Bearer ü",
    "Bearer key-1.",
    "Bearer .",
]
KEY = "key-1.a-long-secret"


class Ring:
    """A ring with one key, and its clocks."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.monotonic = 100.0
        self.ring = KeyRing(b"pepper", now=self.clock.now, monotonic=lambda: self.monotonic)
        self.access = Access(organizer_key="open-sesame", token_key="secret", keys=self.ring)

    def learn(self, *scopes: Scope, **more: object) -> None:
        known = {"id": "key-1", "digest": self.ring.digest(KEY), "organizer": "acme", "scopes": scopes} | more
        listing = KeyListing(version=1, keys=[ListedKey(**known)], organizers=("acme",))  # type: ignore[arg-type] # all of its own types
        self.ring.learn(listing, asked_at=self.monotonic)

    def asks(self, key: str = KEY) -> Principal | None:
        return self.access.principal(f"Bearer {key}")


@pytest.fixture
def ring() -> Ring:
    return Ring()


@pytest.mark.parametrize("scope", Scope)
def test_the_first_key_opens_everything(scope: Scope) -> None:
    assert ACCESS.check("Bearer open-sesame", scope) is FIRST
    assert ACCESS.check("bearer  open-sesame ", scope) is FIRST
    assert ACCESS.of_order("order-1", "Bearer open-sesame", scope) is FIRST


@pytest.mark.parametrize("credential", BAD)
def test_nothing_else_is_a_key(credential: str | None, ring: Ring) -> None:
    ring.learn(*ALL_SCOPES)
    for access in (ACCESS, ring.access):
        with pytest.raises(Unauthorized):
            access.check(credential, Scope.READ)


@pytest.mark.parametrize("credential", BAD)
def test_without_a_credential_an_order_is_not_there(credential: str | None, ring: Ring) -> None:
    ring.learn(*ALL_SCOPES)
    with pytest.raises(NotFound):
        ring.access.of_order("order-1", credential, Scope.READ)


def test_a_token_opens_its_own_order_only() -> None:
    token = ACCESS.token_for("order-1")
    assert len(token) == 43
    assert ACCESS.of_order("order-1", f"Bearer {token}", Scope.READ) is None
    with pytest.raises(NotFound):
        ACCESS.of_order("order-2", f"Bearer {token}", Scope.READ)


def test_a_token_is_the_same_each_time_and_with_each_key_another() -> None:
    assert ACCESS.token_for("order-1") == ACCESS.token_for("order-1")
    assert Access(organizer_key="x", token_key="other").token_for("order-1") != ACCESS.token_for("order-1")


def test_while_the_token_key_is_changed_tokens_of_both_open_their_order() -> None:
    changed = Access(organizer_key="x", token_key="new", token_key_too="secret")
    for token in (ACCESS.token_for("order-1"), changed.token_for("order-1")):
        assert changed.of_order("order-1", f"Bearer {token}", Scope.READ) is None
    assert changed.token_for("order-1") != ACCESS.token_for("order-1")


def test_a_key_opens_what_its_scopes_say_for_its_organizer(ring: Ring) -> None:
    ring.learn(Scope.READ, concert_id="concert-1")
    asks = ring.access.check(f"Bearer {KEY}", Scope.READ)
    assert (asks.id, asks.organizer, asks.concert_id) == ("key-1", "acme", "concert-1")
    assert asks.owns("acme", "concert-1")
    assert not asks.owns("acme", "concert-2")
    assert not asks.owns("default", "concert-1")
    with pytest.raises(ScopeMissing):
        ring.access.check(f"Bearer {KEY}", Scope.REFUND)
    with pytest.raises(ScopeMissing):
        ring.access.of_order("order-1", f"Bearer {KEY}", Scope.REFUND)


@pytest.mark.parametrize("key", ["key-1.another-secret", "key-2.a-long-secret", "key-1.", KEY + "x"])
def test_another_key_with_its_id_is_none(ring: Ring, key: str) -> None:
    ring.learn(Scope.READ)
    assert ring.asks(key) is None


def test_a_key_ends_when_it_is_said_to(ring: Ring) -> None:
    ring.learn(Scope.READ, ends_at=NOON + timedelta(seconds=10))
    assert ring.asks() is not None
    ring.clock.advance(10)
    assert ring.asks() is None


def test_when_it_was_used_is_noted(ring: Ring) -> None:
    ring.learn(Scope.READ)
    ring.asks("key-1.wrong")
    assert ring.ring.used == {}
    ring.asks()
    assert ring.ring.used == {"key-1": ring.clock.now()}


def test_while_the_secret_of_hashes_is_changed_keys_of_both_are_good_and_get_the_new_hash(ring: Ring) -> None:
    ring.learn(Scope.READ)
    before = ring.ring.digest(KEY)
    ring.ring.use_peppers(b"new", [b"pepper"], renews=True)
    assert ring.asks("key-1.wrong") is None
    assert not ring.ring.rehashed
    assert ring.asks() is not None
    assert ring.ring.rehashed == {"key-1": ring.ring.digest(KEY)}
    assert ring.ring.digest(KEY) != before
    ring.ring.rehashed = {}
    ring.learn(Scope.READ)  # by the new hash
    assert ring.asks() is not None
    assert not ring.ring.rehashed
    ring.ring.use_peppers(b"newest", [], renews=False)
    assert ring.asks() is None


def test_a_listing_that_was_asked_for_earlier_and_came_later_is_left(ring: Ring) -> None:
    ring.learn(Scope.READ)
    ring.ring.learn(KeyListing(version=0), asked_at=ring.monotonic - 0.1)
    assert ring.asks() is not None
    ring.ring.learn(KeyListing(version=2), asked_at=ring.monotonic + 0.1)
    assert ring.asks() is None


def test_by_a_listing_that_is_too_old_no_key_is_taken_but_the_first(ring: Ring) -> None:
    with pytest.raises(KeysUnknown):
        ring.asks()
    ring.learn(Scope.READ)
    ring.monotonic += FRESH_SECONDS
    assert ring.asks() is not None
    ring.monotonic += 0.01
    with pytest.raises(KeysUnknown):
        ring.asks()
    assert ring.asks("open-sesame") is FIRST
    assert ring.asks("no-key-of-ours") is None


def test_services_have_a_credential_that_opens_what_is_for_them_alone() -> None:
    access = Access(organizer_key="open-sesame", token_key="secret", service_keys=("service", "the-one-before"))
    assert access.services.token("orders") == "service"
    for credential in ("Bearer service", "Bearer the-one-before"):
        assert access.check(credential, None, callers=("concerts",)) is SERVICE
        assert access.check(credential, Scope.SELL, callers=("concerts",)) is SERVICE
        with pytest.raises(Unauthorized):
            access.check(credential, Scope.SELL)
    with pytest.raises(Unauthorized):
        access.check("Bearer open-sesame", None, callers=("concerts",))


def test_services_without_one_call_each_other_with_the_first_key_as_earlier_releases_did() -> None:
    assert ACCESS.services.token("orders") == "open-sesame"
    assert ACCESS.check("Bearer open-sesame", None, callers=("concerts",)) is SERVICE
