"""Keys at work: made, used, ended, replaced; here and in services of their own; across a restart."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.product.wiring.organizers import FIRST_KEY, Office, office
from tests.product.wiring.platforms import settings

from cludale.adapters.system.keys import UnusableKey
from cludale.kernel.times import rfc3339
from cludale.ports.keys import KeyListing
from cludale.services import NAMES
from cludale.services.concerts.key_service import KeyService
from cludale.web.keyring import FRESH_SECONDS
from cludale.web.service_keys import keys_from
from cludale.wiring import key_watch
from cludale.wiring.keys import key_hashes, service_keys
from cludale_operations.local.kept_pairs import KeptPairs
from cludale_operations.rotation import Pair, Stage, settled

ENDS_SECONDS = FRESH_SECONDS + 4
"""Within which a revoked key ends everywhere, and what requests take on a machine that others use."""


def files_in(folder: Path) -> list[Path]:
    found = [file for file in folder.rglob("*") if file.is_file()]
    assert found
    return found


async def ends_within(here: Office, path: str, key: str, seconds: float = ENDS_SECONDS) -> None:
    """Asks until the key is refused."""
    began = time.monotonic()
    while (status := (await here.ask("GET", path, key)).status_code) == 200:
        assert time.monotonic() - began < seconds
        await asyncio.sleep(0.01)
    assert status == 401


async def test_a_key_is_shown_once_and_kept_by_nobody(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        key = await here.new_key("read")
        secret = key.partition(".")[2]
        assert len(secret) == 43
        assert (await here.ask("GET", "/orders", key)).status_code == 200
        (listed,) = (await here.ask("GET", "/concerts/-/keys")).json()["items"]
        assert listed["id"] == key.partition(".")[0]
        assert secret not in str(listed)
        assert (await here.ask("GET", "/audit/events")).status_code == 200
    assert not [file for file in files_in(tmp_path) if secret.encode() in file.read_bytes()]


async def test_a_key_and_a_session_open_doors_as_soon_as_they_are_made_though_looking_takes_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = KeyService.listing

    async def slow(self: KeyService, known: KeyListing | None) -> KeyListing:
        await asyncio.sleep(0.2)
        return await listing(self, known)

    monkeypatch.setattr(KeyService, "listing", slow)
    async with office(tmp_path) as here:
        key = await here.new_key("read")
        assert (await here.ask("GET", "/orders", key)).status_code == 200
        session = await here.sign_in(key)
        assert (await here.ask("GET", "/orders", session)).status_code == 200
        await here.ask("POST", f"/concerts/-/keys/{key.partition('.')[0]}/revoke")
        assert (await here.ask("GET", "/orders", key)).status_code == 401


async def test_a_key_does_what_its_scopes_say_and_no_more(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        key = await here.new_key("read")
        body = {"artist": "A", "date": "2099-01-01", "totalSeats": 1}
        refused = await here.ask("POST", "/concerts", key, json=body)
        assert refused.status_code == 403
        assert refused.json()["type"] == "/problems/scope-missing"
        assert refused.json()["scope"] == "catalogue"
        assert refused.json()["detail"] == "This key may not do this: it lacks the scope 'catalogue'."
        assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]


async def test_a_key_for_another_organizers_concert_is_not_made(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        await here.concert("ours")
        body = {"name": "a door", "scopes": ["read"], "organizer": "acme", "concertId": "ours"}
        refused = await here.ask("POST", "/concerts/-/keys", json=body)
        assert refused.status_code == 422
        assert [error["field"] for error in refused.json()["errors"]] == ["concertId"]


async def test_a_revoked_key_ends_at_once_where_keys_are_kept(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        key = await here.new_key("read")
        id = key.partition(".")[0]
        assert (await here.ask("GET", "/orders", key)).status_code == 200
        revoked = (await here.ask("POST", f"/concerts/-/keys/{id}/revoke")).json()
        await ends_within(here, "/orders", key)
        assert (await here.ask("POST", f"/concerts/-/keys/{id}/revoke")).json() == revoked
        assert (await here.ask("POST", "/concerts/-/keys/key-none/revoke")).status_code == 404


async def test_a_key_that_took_anothers_place_is_for_the_same_and_both_are_good_for_a_while(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        old = await here.new_key("read")
        id = old.partition(".")[0]
        new = (await here.ask("POST", f"/concerts/-/keys/{id}/rotate", json={"overlapSeconds": 60})).json()["key"]
        for key in (old, new):
            assert (await here.ask("GET", "/orders", key)).status_code == 200
        id = new.partition(".")[0]
        newer = (await here.ask("POST", f"/concerts/-/keys/{id}/rotate", json={})).json()["key"]
        await ends_within(here, "/orders", new)
        assert (await here.ask("GET", "/orders", newer)).status_code == 200
        assert (await here.ask("POST", f"/concerts/-/keys/{id}/rotate", json={})).json()[
            "type"
        ] == "/problems/key-ended"


async def test_a_key_ends_by_itself_at_its_time(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        key = await here.new_key("read", endsAt=rfc3339(datetime.now(UTC) + timedelta(seconds=0.7)))
        assert (await here.ask("GET", "/orders", key)).status_code == 200
        await ends_within(here, "/orders", key)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes[0]"),
        ({"name": ""}, "name"),
        ({"organizer": "../x"}, "organizer"),
        ({"endsAt": "soon"}, "endsAt"),
        ({"endsAt": "2020-01-01T00:00:00Z"}, "endsAt"),
        ({"scopes": ["operate"], "organizer": "acme"}, "scopes"),
        ({"scopes": ["operate"], "concertId": "c1"}, "scopes"),
    ],
)
async def test_a_key_that_can_not_be_is_refused(tmp_path: Path, change: dict[str, object], field: str) -> None:
    async with office(tmp_path) as here:
        made = await here.ask("POST", "/concerts/-/keys", json={"name": "n", "scopes": ["read"]} | change)
        assert made.status_code == 422
        assert made.json()["errors"][0]["field"] == field


async def test_when_a_key_was_used_last_is_known_after_a_restart(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        key = await here.new_key("read")
        await here.ask("GET", "/orders", key)
    async with office(tmp_path) as here:
        (listed,) = (await here.ask("GET", "/concerts/-/keys")).json()["items"]
        assert listed["lastUsedAt"] is not None
        assert (await here.ask("GET", "/orders", key)).status_code == 200


async def test_where_one_process_keeps_the_keys_one_that_was_too_busy_to_look_still_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_watch, "LOOK_SECONDS", 60.0)
    async with office(tmp_path) as here:
        key = await here.new_key("read")
        await asyncio.sleep(FRESH_SECONDS + 0.2)
        assert (await here.ask("GET", "/orders", key)).status_code == 200
        await here.ask("POST", f"/concerts/-/keys/{key.partition('.')[0]}/revoke")
        await ends_within(here, "/orders", key)


async def test_a_service_of_its_own_knows_the_keys_and_when_they_end(tmp_path: Path) -> None:
    async with office(tmp_path / "concerts", ("concerts",)) as concerts:
        ways = {"concerts_url": str(concerts.client.base_url), "orders_url": "http://127.0.0.1:9"}
        async with office(tmp_path / "notifications", ("notifications",), **ways) as here:
            key = await concerts.new_key("read", organizer="acme")
            began = time.monotonic()
            while (await here.ask("GET", "/notifications", key)).status_code != 200:
                assert time.monotonic() - began < ENDS_SECONDS
                await asyncio.sleep(0.01)
            await concerts.ask("POST", f"/concerts/-/keys/{key.partition('.')[0]}/revoke")
            await ends_within(here, "/notifications", key)


async def test_where_it_can_not_be_known_which_keys_there_are_only_the_first_is_taken(tmp_path: Path) -> None:
    async with office(tmp_path, ("payments",), concerts_url="http://127.0.0.1:9") as here:
        answer = await here.ask("GET", "/payments", "key-1.some-secret")
        assert answer.status_code == 503
        assert answer.json()["type"] == "/problems/keys-unknown"
        assert "retry-after" in answer.headers
        assert (await here.ask("GET", "/payments", "no-key-at-all")).status_code == 401
        assert (await here.ask("GET", "/payments", FIRST_KEY)).status_code == 200


async def test_services_call_each_other_with_a_credential_of_their_own_where_there_is_one(tmp_path: Path) -> None:
    own = {"service_key": "service", "service_key_too": "the-next"}
    async with office(tmp_path, ("concerts",), **own) as here:
        for key, status in (("service", 200), ("the-next", 200), (FIRST_KEY, 401), (None, 401)):
            assert (await here.ask("GET", "/concerts/-/keys/listing", key)).status_code == status
        assert (await here.ask("GET", "/concerts/-/keys", "service")).status_code == 401


def test_a_process_with_all_services_has_no_credential_that_anybody_knows(tmp_path: Path) -> None:
    whole = settings(tmp_path)
    assert service_keys(whole, NAMES) != service_keys(whole, NAMES)
    assert service_keys(whole, ("orders",)) == []


def test_the_hashes_of_keys_follow_from_one_secret(tmp_path: Path) -> None:
    assert key_hashes(settings(tmp_path)).used == key_hashes(settings(tmp_path / "elsewhere")).used
    assert key_hashes(settings(tmp_path, key_hash="own")).used == b"own"
    made = key_hashes(settings(tmp_path, organizer_key=None)).used
    assert made == key_hashes(settings(tmp_path, organizer_key=None)).used
    assert made == key_hashes(settings(tmp_path)).used, "a first key that is set later must not end the others"


async def test_a_key_outlives_another_first_key_and_a_key_hash_that_comes_later(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        key = await here.new_key("read")
    for changes in ({"organizer_key": "another-first-key"}, {"key_hash": "own"}, {}):
        async with office(tmp_path, **changes) as here:
            assert (await here.ask("GET", "/orders", key)).status_code == 200
            assert (await here.ask("GET", "/orders", f"{key}x")).status_code == 401


@pytest.mark.parametrize("new", ["a-new-secret", "sha3-256:a-new-secret"])
async def test_what_keys_are_hashed_with_is_changed_while_they_are_used(tmp_path: Path, new: str) -> None:
    kept = KeptPairs(tmp_path, settings(tmp_path))
    async with office(tmp_path) as here:
        used, left = await here.new_key("read"), await here.new_key("read")
        before = key_hashes(settings(tmp_path)).used
        pair = Pair(new, kept.pair("key-hash").secret, Stage.FORMER)
        kept.keep("key-hash", pair)
        assert key_hashes(settings(tmp_path)).used == new.encode()
        assert before in key_hashes(settings(tmp_path)).too
        await asyncio.sleep(2 * key_watch.LOOK_SECONDS)
        assert (await here.ask("GET", "/orders", used)).status_code == 200
    kept.keep("key-hash", settled(pair.secret))
    async with office(tmp_path, organizer_key="another-first-key") as here:
        assert (await here.ask("GET", "/orders", used)).status_code == 200
        assert (await here.ask("GET", "/orders", left)).status_code == 401, "it was not used since"


async def test_a_key_that_is_used_in_another_process_is_hashed_anew_there(tmp_path: Path) -> None:
    async with office(tmp_path / "concerts", ("concerts",), key_hash="former") as concerts:
        ways = {"concerts_url": str(concerts.client.base_url), "orders_url": "http://127.0.0.1:9"}
        key = await concerts.new_key("read")
        async with office(tmp_path / "n", ("notifications",), key_hash="new", key_hash_too="former", **ways) as here:
            began = time.monotonic()
            while (await here.ask("GET", "/notifications", key)).status_code != 200:
                assert time.monotonic() - began < ENDS_SECONDS
                await asyncio.sleep(0.05)
    async with office(tmp_path / "concerts", ("concerts",), key_hash="new", organizer_key="another") as concerts:
        assert (await concerts.ask("GET", "/concerts/-/dead-letters", key)).status_code == 403, "it is known"


def test_a_service_is_not_started_with_a_key_that_is_anothers_or_none(tmp_path: Path) -> None:
    keys = keys_from("a secret", NAMES)
    assert service_keys(settings(tmp_path, service_key=keys["orders"]), ("orders",)) == [keys["orders"]]
    for key, said in ((keys["orders"], "is that of orders, and here is concerts"), ("ed25519:orders", "can't be read")):
        with pytest.raises(UnusableKey, match=said):
            service_keys(settings(tmp_path, service_key=key), ("concerts",))
