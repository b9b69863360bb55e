"""Each service signs what it calls others with, by a key of its own; a token is for one service and some minutes."""

import base64
import json

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from cludale.services import NAMES
from cludale.web.service_keys import (
    ANY,
    LIFE_SECONDS,
    SKEW_SECONDS,
    ServiceKeys,
    UnusableServiceKey,
    keys_from,
    service_of,
)

KEYS = keys_from("the secret of a platform", NAMES)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def of(service: str, clock: Clock, *more: str) -> ServiceKeys:
    return ServiceKeys([KEYS[service], *more], serves=[service], now=clock)


def test_a_service_knows_who_calls_it(clock: Clock) -> None:
    token = of("orders", clock).token("concerts").encode()
    assert of("concerts", clock).caller(token) == "orders"


def test_a_token_is_for_the_service_that_is_called_alone(clock: Clock) -> None:
    token = of("orders", clock).token("concerts").encode()
    assert of("payments", clock).caller(token) is None


def test_a_token_ends_after_some_minutes_also_where_it_was_seen_before(clock: Clock) -> None:
    token, concerts = of("orders", clock).token("concerts").encode(), of("concerts", clock)
    clock.now += LIFE_SECONDS + SKEW_SECONDS - 1
    assert concerts.caller(token) == "orders"
    clock.now += 1
    assert concerts.caller(token) is None
    assert of("concerts", clock).caller(token) is None


def test_one_from_a_clock_that_is_far_ahead_is_none(clock: Clock) -> None:
    token = of("orders", clock).token("concerts").encode()
    clock.now -= SKEW_SECONDS + 1
    assert of("concerts", clock).caller(token) is None


def test_a_token_is_used_for_half_of_its_time_so_that_few_are_signed(clock: Clock) -> None:
    orders = of("orders", clock)
    first = orders.token("concerts")
    clock.now += LIFE_SECONDS / 2 - 1
    assert orders.token("concerts") == first
    clock.now += 1
    assert orders.token("concerts") != first


def test_none_can_call_as_another(clock: Clock) -> None:
    orders, concerts = KEYS["orders"], of("concerts", clock)
    _, _, private, _ = orders.split(":")
    signing = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "d": private, "x": public_of(orders, "orders")})
    for caller, wanted in (("orders", "orders"), ("payments", None), ("nobody", None)):
        said = {"iss": caller, "aud": "concerts", "iat": int(clock.now), "exp": int(clock.now) + LIFE_SECONDS}
        token = jwt.encode({"alg": "Ed25519", "typ": "JWT"}, said, signing, algorithms=["Ed25519"])
        assert concerts.caller(token.encode()) == wanted


def test_who_keeps_a_private_key_can_not_make_a_token_that_lasts(clock: Clock) -> None:
    _, _, private, _ = KEYS["orders"].split(":")
    signing = OKPKey.import_key(
        {"kty": "OKP", "crv": "Ed25519", "d": private, "x": public_of(KEYS["orders"], "orders")}
    )
    said = {"iss": "orders", "aud": "concerts", "iat": int(clock.now), "exp": int(clock.now) + LIFE_SECONDS + 1}
    token = jwt.encode({"alg": "Ed25519", "typ": "JWT"}, said, signing, algorithms=["Ed25519"])
    assert of("concerts", clock).caller(token.encode()) is None


def public_of(key: str, service: str) -> str:
    return dict(each.split("=") for each in key.split(":")[3].split(","))[service]


def test_it_is_a_jwt_that_others_libraries_read(clock: Clock) -> None:
    token = of("orders", clock).token("concerts")
    public = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": public_of(KEYS["payments"], "orders")})
    read = jwt.decode(token, public, algorithms=["Ed25519"])
    assert read.header == {"alg": "Ed25519", "typ": "JWT"}
    assert (read.claims["iss"], read.claims["aud"]) == ("orders", "concerts")


@pytest.mark.parametrize("at", [5, 60, -5])
def test_no_token_is_believed_that_was_changed(clock: Clock, at: int) -> None:
    token = of("orders", clock).token("concerts")
    changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
    assert of("concerts", clock).caller(changed.encode()) is None


@pytest.mark.parametrize(
    "token", [b"", b".", b"..", b"a.b.c", b"\xff\xfe", b"eyJ0eXAiOiJKV1QiLCJhbGciOiJFZDI1NTE5In0.e30.AA", b"x" * 4096]
)
def test_anything_else_is_no_token(clock: Clock, token: bytes) -> None:
    assert of("concerts", clock).caller(token) is None


def test_one_that_names_another_algorithm_is_none(clock: Clock) -> None:
    _, said, _ = of("orders", clock).token("concerts").split(".")
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=").decode()
    assert of("concerts", clock).caller(f"{head}.{said}.".encode()) is None


def test_while_keys_are_changed_those_of_both_secrets_are_known(clock: Clock) -> None:
    new = keys_from("another secret", NAMES)
    concerts = of("concerts", clock, new["concerts"])
    for keys in (KEYS, new):
        assert concerts.caller(ServiceKeys([keys["orders"]], now=clock).token("concerts").encode()) == "orders"


def test_what_is_no_such_key_is_one_that_all_share(clock: Clock) -> None:
    shared = ServiceKeys(["a shared key"], now=clock)
    assert shared.token("concerts") == "a shared key"
    assert shared.caller(b"a shared key") == ANY
    assert shared.caller(b"another") is None


@pytest.mark.parametrize(
    "key",
    [
        "ed25519:",
        "ed25519:orders:AA:orders=AA",
        KEYS["orders"].replace(":orders:", ":payments:", 1),
        KEYS["orders"].replace(":orders:", ":strangers:", 1),
    ],
)
def test_a_key_that_is_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(UnusableServiceKey) as refused:
        service_of(key)
    assert KEYS["orders"].split(":")[2] not in str(refused.value)


def test_a_service_has_its_own_private_key_alone() -> None:
    private = {service: KEYS[service].split(":")[2] for service in NAMES}
    assert len(set(private.values())) == len(NAMES)
    for service, key in KEYS.items():
        assert service_of(key) == service
        assert not [each for each, of_it in private.items() if each != service and of_it in key]
