"""The keys, asked of concerts over HTTP: as a whole once, and by their version after that."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from tests.product.adapters.http_calls.test_calls import Other, answer, other

from cludale.adapters.http_calls.calls import HttpKeys
from cludale.kernel.principals import Scope
from cludale.ports.keys import KeyListing, KeysUnreachable, ListedKey

__all__ = ["other"]  # the fixture

LISTED = {
    "version": 3,
    "keys": [
        {"id": "key-1", "digest": "d", "organizer": "acme", "scopes": ["read"], "concertId": None, "endsAt": None}
    ],
    "organizers": ["acme"],
}
LISTING = KeyListing(
    version=3,
    keys=[ListedKey(id="key-1", digest="d", organizer="acme", scopes=(Scope.READ,))],
    organizers=["acme"],
)


@pytest.fixture
async def keys(other: Other) -> AsyncIterator[HttpKeys]:
    opened = HttpKeys(other.url, lambda _: "service-key", timeout_seconds=1)
    yield opened
    await opened.close()


async def test_the_listing_is_asked_for_with_the_services_own_credential(other: Other, keys: HttpKeys) -> None:
    other.play = other.sends(answer(200, LISTED))
    assert await keys.listing(None) == LISTING
    assert other.requests[0].startswith(b"GET /concerts/-/keys/listing HTTP")
    assert b"authorization: Bearer service-key" in other.requests[0]


async def test_what_is_known_is_not_sent_again(other: Other, keys: HttpKeys) -> None:
    other.play = other.sends(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert await keys.listing(LISTING) is LISTING
    assert b"?known=3 " in other.requests[0]


@pytest.mark.parametrize(("status", "body"), [(500, b""), (401, {}), (200, b"{"), (200, {"version": "x"}), (204, b"")])
async def test_an_answer_that_is_none_means_that_the_keys_are_not_known(
    other: Other,
    keys: HttpKeys,
    status: int,
    body: object,
) -> None:
    other.play = other.sends(answer(status, body))
    with pytest.raises(KeysUnreachable):
        await keys.listing(None)


async def test_uses_are_told(other: Other, keys: HttpKeys) -> None:
    other.play = other.sends(answer(200, {}))
    used = {"key-1": datetime(2027, 1, 1, tzinfo=UTC)}
    await keys.used(used, {})
    assert other.requests[0].endswith(b'{"used":{"key-1":"2027-01-01T00:00:00Z"}}')
    await keys.used(used, {"key-1": "0" * 64})
    assert other.requests[1].endswith(b',"rehashed":{"key-1":"' + b"0" * 64 + b'"}}')
