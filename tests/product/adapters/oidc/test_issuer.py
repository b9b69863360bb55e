"""Sign-in by a real issuer, and by one that lies."""

import asyncio
import base64
import hashlib
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from tests.listening import LOOPBACK, listening
from tests.oidc_provider import CLIENT, SECRET, Provider, running_provider

from cludale.adapters.oidc import OidcIssuer, Strength
from cludale.adapters.oidc.asking import Asking
from cludale.adapters.oidc.issuer import SIGNED_OUT
from cludale.ports.issuer import IssuerUnreachable, NotVouched, Person, SignedOutThere, TooWeak

BACK = "http://127.0.0.1:9/staff/sign-in/back"


def issuer_at(url: str, **changes: Any) -> OidcIssuer:
    known: dict[str, Any] = {
        "client_id": CLIENT,
        "client_secret": SECRET,
        "back_to": BACK,
        "after_sign_out": BACK.removesuffix("/back"),
        "scopes": "profile",
        "roles_claim": "roles",
        "now": lambda: datetime.now(UTC),
    }
    return OidcIssuer(url, **(known | changes))


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class Attempt:
    """One sign-in of somebody."""

    def __init__(self, issuer: OidcIssuer, provider: Provider) -> None:
        self.issuer, self.provider = issuer, provider
        self.verifier, self.nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        self.back: dict[str, str] = {}

    async def begin(self, person: str) -> "Attempt":
        url = await self.issuer.address(state="s" * 22, nonce=self.nonce, challenge=challenge(self.verifier))
        self.back = dict(await self.provider.signed_in(url, person))
        assert self.back["state"] == "s" * 22
        return self

    async def end(self, **changes: Any) -> Person:
        said: dict[str, Any] = {"verifier": self.verifier, "nonce": self.nonce, "issuer": self.back.get("iss")}
        return await self.issuer.person(self.back["code"], **(said | changes))


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_provider(tmp_path_factory.mktemp("oidc"), BACK) as running:
        yield running


@pytest.fixture
async def issuer(provider: Provider) -> AsyncIterator[OidcIssuer]:
    made = issuer_at(provider.issuer)
    yield made
    await made.close()


async def test_the_issuer_says_who_somebody_is_and_what_their_roles_are(issuer: OidcIssuer, provider: Provider) -> None:
    attempt = await Attempt(issuer, provider).begin("ada")
    known = await attempt.end()
    assert known._replace(hint="", vouched_at=0) == Person("ada", "Ada Lark", ("box-office", "unheard-of"))
    with pytest.raises(NotVouched):
        await attempt.end()  # a code is good once


async def test_a_code_is_of_no_use_to_whoever_lacks_what_it_began_with(issuer: OidcIssuer, provider: Provider) -> None:
    for changes in (
        {"verifier": secrets.token_urlsafe(48)},
        {"nonce": secrets.token_urlsafe(24)},
        {"issuer": "https://other.example"},
    ):
        with pytest.raises(NotVouched):
            await (await Attempt(issuer, provider).begin("ada")).end(**changes)


async def test_keys_that_are_changed_are_asked_for_anew(provider: Provider) -> None:
    made = issuer_at(provider.issuer, again_seconds=0.0)
    try:
        await (await Attempt(made, provider).begin("ada")).end()
        provider.rotate()
        assert (await (await Attempt(made, provider).begin("ben")).end()).subject == "ben"
    finally:
        await made.close()


async def test_a_client_that_the_issuer_does_not_take_is_trouble_of_ours(provider: Provider) -> None:
    made = issuer_at(provider.issuer, client_secret="wrong")
    try:
        attempt = await Attempt(made, provider).begin("ada")
        with pytest.raises(IssuerUnreachable):
            await attempt.end()
    finally:
        await made.close()


async def test_an_issuer_that_is_away_or_silent_is_not_waited_for() -> None:
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with listening(silent) as silent_port:
        for at in (port, silent_port):
            made = issuer_at(f"http://127.0.0.1:{at}", asking=Asking(timeout_seconds=0.2))
            began = time.monotonic()
            with pytest.raises(IssuerUnreachable):
                await made.address(state="s" * 22, nonce="n" * 22, challenge="c" * 43)
            assert time.monotonic() - began < 10
            await made.close()
        await asyncio.wait_for(gone.wait(), 5)


class Liar:
    """An issuer that signs, or leaves unsigned, whatever it is told to."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.token = ""
        self.url = ""
        self.documents: dict[str, Any] = {}
        self.answering: set[asyncio.Task[None] | None] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.answering.add(asyncio.current_task())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split()[1]
        said = {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
            },
            "/jwks": {"keys": [self.key.as_dict(private=False)]},
            "/token": {"id_token": self.token},
        } | self.documents
        body = json.dumps(said[path]).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self.url, "aud": CLIENT, "exp": now + 60, "iat": now, "nonce": "n", "sub": "ada", "roles": ["r"],
        } | changes  # fmt: skip

    def signed(self, claims: dict[str, Any], key: Any = None, **header: Any) -> str:
        return jwt.encode({"alg": "RS256", "kid": "one"} | header, claims, key or self.key)


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    made = Liar()
    async with listening(made.answer) as port:
        made.url = f"http://{LOOPBACK}:{port}"
        yield made
        await asyncio.gather(*(each for each in made.answering if each is not None))


def _unsigned(claims: dict[str, Any]) -> str:
    parts = [json.dumps(each).encode() for each in ({"alg": "none", "kid": "one"}, claims)]
    return b".".join([*(base64.urlsafe_b64encode(each).rstrip(b"=") for each in parts), b""]).decode()


async def test_no_token_is_believed_that_is_wrong_in_anything(liar: Liar) -> None:
    now = int(time.time())
    wrong: dict[str, dict[str, Any]] = {
        "another issuer": {"iss": "https://other.example"},
        "another client": {"aud": "other"},
        "one of several, for another": {"aud": [CLIENT, "other"], "azp": "other"},
        "one of several": {"aud": [CLIENT, "other"]},
        "too old": {"exp": now - 60},
        "no end": {"exp": None},
        "from tomorrow": {"iat": now + 86_400},
        "another sign-in": {"nonce": "m"},
        "nobody": {"sub": ""},
    }
    tokens = {name: liar.signed(liar.claims(**changes)) for name, changes in wrong.items()}
    public = liar.key.as_pem(private=False)
    tokens |= {
        "unsigned": _unsigned(liar.claims()),
        "signed with the public key as a secret": jwt.encode(
            {"alg": "HS256", "kid": "one"}, liar.claims(), OctKey.import_key(base64.b64encode(public))
        ),
        "another key": liar.signed(liar.claims(), RSAKey.generate_key(2048)),
        "an unknown key": liar.signed(liar.claims(), RSAKey.generate_key(2048), kid="two"),
        "changed": liar.signed(liar.claims())[:-8] + "AAAAAAAA",
        "no token": "",
        "no token either": "a.b.c",
    }
    made = issuer_at(liar.url)
    try:
        believed = []
        for name, liar.token in tokens.items():
            try:
                await made.person("code", verifier="v", nonce="n", issuer=None)
                believed.append(name)
            except NotVouched:
                pass
        assert not believed
        liar.token = liar.signed(liar.claims())
        known = await made.person("code", verifier="v", nonce="n", issuer=None)
        assert known._replace(vouched_at=0) == Person("ada", "ada", ("r",), liar.token)
    finally:
        await made.close()


async def test_who_is_vouched_for_less_surely_than_is_wanted_does_not_come_in(liar: Liar) -> None:
    now = int(time.time())
    wanted = Strength(frozenset({"gold", "silver"}), frozenset({"mfa", "hwk"}), 3_600)
    made = issuer_at(liar.url, strength=wanted)
    asked = parse_qs(urlsplit(await made.address(state="s", nonce="n", challenge="c")).query)
    assert (asked["acr_values"], asked["max_age"]) == (["gold silver"], ["3600"])
    sure: dict[str, Any] = {"acr": "gold", "amr": ["pwd", "mfa"], "auth_time": now - 60}
    weak: dict[str, dict[str, Any]] = {
        "another context": {"acr": "bronze"},
        "no context": {"acr": None},
        "a password": {"amr": ["pwd"]},
        "no list of methods": {"amr": "mfa"},
        "no methods": {"amr": None},
        "too long ago": {"auth_time": now - 3_700},
        "nobody knows when": {"auth_time": None},
        "tomorrow": {"auth_time": now + 86_400},
        "a yes": {"auth_time": True},
    }
    try:
        believed = []
        for name, changes in weak.items():
            liar.token = liar.signed(liar.claims(**(sure | changes)))
            try:
                await made.person("code", verifier="v", nonce="n", issuer=None)
                believed.append(name)
            except TooWeak:
                pass
        assert not believed
        liar.token = liar.signed(liar.claims(**sure))
        assert (await made.person("code", verifier="v", nonce="n", issuer=None)).subject == "ada"
    finally:
        await made.close()


async def test_a_real_issuer_says_when_somebody_signed_in_where_it_is_asked(provider: Provider) -> None:
    made = issuer_at(provider.issuer, strength=Strength(max_age_seconds=60))
    strict = issuer_at(provider.issuer, strength=Strength(methods=frozenset({"mfa"})))
    try:
        assert (await (await Attempt(made, provider).begin("ada")).end()).subject == "ada"
        with pytest.raises(TooWeak):  # it does not say how, so it was by the least there is
            await (await Attempt(strict, provider).begin("ada")).end()
    finally:
        await made.close()
        await strict.close()


async def test_no_logout_token_is_believed_that_is_wrong_in_anything(liar: Liar) -> None:
    now = int(time.time())
    good: dict[str, Any] = {
        "iss": liar.url, "aud": CLIENT, "exp": now + 60, "iat": now, "jti": "j", "sub": "ada", "sid": "s",
        "events": {SIGNED_OUT: {}},
    }  # fmt: skip
    wrong: dict[str, dict[str, Any]] = {
        "another issuer": {"iss": "https://other.example"},
        "another client": {"aud": "other"},
        "too old": {"exp": now - 60},
        "no end": {"exp": None},
        "from tomorrow": {"iat": now + 86_400},
        "an ID token": {"nonce": "n"},
        "no event": {"events": {}},
        "another event": {"events": {"http://schemas.openid.net/event/other": {}}},
        "a list of events": {"events": [SIGNED_OUT]},
        "without a name": {"jti": ""},
        "about nobody": {"sub": "", "sid": ""},
        "about a number": {"sub": 1},
        "about a number's session": {"sub": "", "sid": 1},
    }
    tokens = {name: liar.signed(good | changes, typ="logout+jwt") for name, changes in wrong.items()}
    tokens |= {
        "an access token": liar.signed(good, typ="at+jwt"),
        "unsigned": _unsigned(good),
        "another key": liar.signed(good, RSAKey.generate_key(2048), typ="logout+jwt"),
        "a sign-in": liar.signed(liar.claims()),
        "no token": "",
    }
    made = issuer_at(liar.url)
    try:
        believed = []
        for name, token in tokens.items():
            try:
                await made.signed_out(token)
                believed.append(name)
            except NotVouched:
                pass
        assert not believed
        for kind in ({"typ": "logout+jwt"}, {"typ": "JWT"}, {}):
            assert await made.signed_out(liar.signed(good, **kind)) == SignedOutThere("ada", "s", now)
        assert (await made.signed_out(liar.signed({**good, "sub": "ada", "sid": None}))).session == ""
    finally:
        await made.close()


async def test_roles_may_be_one_inside_another_and_are_nothing_else_than_text(liar: Liar) -> None:
    made = issuer_at(liar.url, roles_claim="realm_access.roles")
    try:
        for said, roles in (({"roles": ["a", 1, None, "b"]}, ("a", "b")), ({"roles": "a"}, ("a",)), ([], ())):
            liar.token = liar.signed(liar.claims(realm_access=said))
            assert (await made.person("code", verifier="v", nonce="n", issuer=None)).roles == roles
    finally:
        await made.close()


async def test_an_issuer_that_is_called_otherwise_is_none(liar: Liar) -> None:
    liar.documents["/.well-known/openid-configuration"] = {"issuer": "https://other.example"}
    made = issuer_at(liar.url)
    try:
        with pytest.raises(IssuerUnreachable):
            await made.address(state="s", nonce="n", challenge="c")
    finally:
        await made.close()
