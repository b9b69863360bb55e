"""An issuer as OpenID Connect Discovery describes it: where to sign in, what a code is worth, who somebody is."""

import base64
import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from cludale.adapters.oidc.asking import Asking, Refused
from cludale.adapters.oidc.signatures import AGAIN_SECONDS, Signatures, WronglySigned
from cludale.adapters.oidc.strength import Strength
from cludale.ports.issuer import IssuerUnreachable, NotVouched, Person, SignedOutThere, TooWeak

_log = logging.getLogger(__name__)

ANY_STRENGTH = Strength()
LEEWAY_SECONDS = 30
"""How far the issuer's clock may be from ours."""
LONGEST_NAME = 200
MOST_ROLES = 500
LONGEST_SESSION = 256
SIGNED_OUT = "http://schemas.openid.net/event/backchannel-logout"
"""The event that makes a token one of signing out."""
LOGOUT_TYPES = ("", "jwt", "logout+jwt")
"""What a logout token may call itself: issuers of before the type was thought of call it nothing, or JWT."""
NAMES = ("name", "preferred_username", "email")
"""Claims to call somebody by, the best first."""


class OidcIssuer:
    """The issuer at one address. It is first asked for something when somebody signs in."""

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        client_secret: str | None,
        back_to: str,
        after_sign_out: str,
        scopes: str,
        roles_claim: str,
        strength: Strength = ANY_STRENGTH,
        now: Callable[[], datetime],
        asking: Asking | None = None,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        """`back_to`, `after_sign_out`: where people come back to, as the issuer knows it.

        `again_seconds`: keys that changed are asked for no more often.
        """
        self._url = url.rstrip("/")
        self._client_id = client_id
        self._secret = client_secret
        self._back_to = back_to
        self._after_sign_out = after_sign_out
        self._scopes = " ".join(dict.fromkeys(["openid", *scopes.split()]))
        self._roles_claim = roles_claim
        self._strength = strength
        self._now = now
        self._asking = asking or Asking()
        self._again_seconds = again_seconds
        self._found: Mapping[str, Any] | None = None
        self._signatures: Signatures | None = None

    async def address(self, *, state: str, nonce: str, challenge: str) -> str:
        """Where the browser goes to sign in. Raises IssuerUnreachable."""
        at = str((await self._discovered())["authorization_endpoint"])
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._back_to,
            "scope": self._scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **self._strength.asked(),
        }
        return f"{at}{'&' if '?' in at else '?'}{urlencode(asked)}"

    async def person(self, code: str, *, verifier: str, nonce: str, issuer: str | None) -> Person:
        """Who came back with `code`. Raises IssuerUnreachable, NotVouched, TooWeak."""
        found = await self._discovered()
        if issuer is not None and issuer != found["issuer"]:
            raise NotVouched("another issuer sent them back")  # RFC 9207
        tokens = await self._swapped(str(found["token_endpoint"]), code, verifier)
        claims = await self._claims(str(tokens.get("id_token", "")))
        self._check(claims, str(found["issuer"]), nonce)
        if _at(claims, self._roles_claim) is None and "userinfo_endpoint" in found and "access_token" in tokens:
            more = await self._asking.get(str(found["userinfo_endpoint"]), bearer=str(tokens["access_token"]))
            if more.get("sub") != claims["sub"]:
                raise NotVouched("userinfo is about somebody else")
            claims = {**more, **claims}
        name = next((claims[each] for each in NAMES if isinstance(claims.get(each), str)), claims["sub"])
        said = _at(claims, self._roles_claim)
        roles = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        return Person(
            str(claims["sub"]),
            "".join(each for each in str(name) if each.isprintable())[:LONGEST_NAME],
            tuple(each for each in roles[:MOST_ROLES] if isinstance(each, str)),
            str(tokens["id_token"]),
            _session(claims),
            int(claims["iat"]),
        )

    async def signed_out(self, token: str) -> SignedOutThere:
        """What a logout token says, by section 2.6 of Back-Channel Logout. Raises IssuerUnreachable, NotVouched."""
        found = await self._discovered()
        claims = await self._claims(token, types=LOGOUT_TYPES)
        events = claims.get("events")
        subject, session = claims.get("sub", ""), _session(claims)
        wrong = self._wrong(claims, str(found["issuer"])) | {
            "nonce": "nonce" in claims,  # an ID token would sign somebody out
            "events": not isinstance(events, dict) or not isinstance(events.get(SIGNED_OUT), dict),
            "jti": not isinstance(claims.get("jti"), str) or not claims["jti"],
            "sub": not isinstance(subject, str) or not (subject or session),
        }
        _refuse(wrong, "the logout token")
        return SignedOutThere(subject, session, int(claims["iat"]))

    async def name(self) -> str:
        """The issuer's own, `iss`. Raises IssuerUnreachable."""
        return str((await self._discovered())["issuer"])

    async def sign_out_address(self) -> str | None:
        """Where the browser goes to end its session there, too (OpenID Connect RP-Initiated Logout 1.0)."""
        try:
            at = str((await self._discovered()).get("end_session_endpoint", ""))
        except IssuerUnreachable as error:
            _log.warning("somebody signed out here alone: %s", error)
            return None
        there = urlsplit(at)
        if there.scheme != urlsplit(self._url).scheme or not there.netloc:
            return None
        asked = {"client_id": self._client_id, "post_logout_redirect_uri": self._after_sign_out}
        return f"{at}{'&' if there.query else '?'}{urlencode(asked)}"

    async def close(self) -> None:
        """Close the connections."""
        await self._asking.close()

    async def _discovered(self) -> Mapping[str, Any]:
        """What the issuer says of itself; asked until it says something of use."""
        if self._found is not None:
            return self._found
        found = await self._asking.get(f"{self._url}/.well-known/openid-configuration")
        if str(found.get("issuer", "")).rstrip("/") != self._url:
            raise IssuerUnreachable(f"{self._url} says that it is {found.get('issuer')!r}")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            at = urlsplit(str(found.get(name, "")))
            if at.scheme != urlsplit(self._url).scheme or not at.netloc:
                raise IssuerUnreachable(f"{self._url} names no {name} that can be used")
        self._signatures = Signatures(str(found["jwks_uri"]), self._asking, again_seconds=self._again_seconds)
        self._found = found
        return found

    async def _swapped(self, at: str, code: str, verifier: str) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back_to,
            "code_verifier": verifier,
        }
        headers = {}
        if self._secret is None:
            form["client_id"] = self._client_id
        else:
            pair = f"{quote(self._client_id, safe='')}:{quote(self._secret, safe='')}"  # RFC 6749, 2.3.1
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        try:
            return await self._asking.post(at, form, headers=headers)
        except Refused as refused:
            if refused.error in ("invalid_grant", "invalid_request"):
                raise NotVouched(refused.error) from refused
            _log.error("the issuer does not take this client: %s (CLUDALE_OIDC_CLIENT_ID)", refused.error)
            raise IssuerUnreachable(str(refused)) from refused

    async def _claims(self, token: str, *, types: Collection[str] | None = None) -> dict[str, Any]:
        if self._signatures is None:
            raise TypeError("nothing is known of the issuer")
        try:
            return await self._signatures.claims(token, types=types)
        except WronglySigned as error:
            raise NotVouched(str(error)) from error

    def _check(self, claims: Mapping[str, Any], issuer: str, nonce: str) -> None:
        """OpenID Connect Core, section 3.1.3.7."""
        wrong = self._wrong(claims, issuer) | {
            "nonce": claims.get("nonce") != nonce,
            "sub": not isinstance(claims.get("sub"), str) or not claims["sub"],
        }
        _refuse(wrong, "the ID token")
        weak = self._strength.wrong(claims, now=self._now().timestamp(), leeway=LEEWAY_SECONDS)
        if any(weak.values()):
            raise TooWeak(f"less than is wanted in the ID token: {', '.join(name for name in weak if weak[name])}")

    def _wrong(self, claims: Mapping[str, Any], issuer: str) -> dict[str, bool]:
        """What is wrong in that which all tokens of the issuer for this client have."""
        now = self._now().timestamp()
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        party = claims.get("azp")
        return {
            "iss": claims.get("iss") != issuer,
            "aud": self._client_id not in audiences,
            "azp": party != self._client_id if party is not None else len(audiences) > 1,
            "exp": not _is_time(claims.get("exp")) or claims["exp"] + LEEWAY_SECONDS <= now,
            "iat": not _is_time(claims.get("iat")) or claims["iat"] - LEEWAY_SECONDS > now,
        }


def _refuse(wrong: Mapping[str, bool], where: str) -> None:
    """Raises NotVouched, if anything is."""
    if any(wrong.values()):
        raise NotVouched(f"wrong in {where}: {', '.join(name for name, is_it in wrong.items() if is_it)}")


def _session(claims: Mapping[str, Any]) -> str:
    """The issuer's name for its session; empty for none, and for what can be none."""
    said = claims.get("sid")
    return said if isinstance(said, str) and len(said) <= LONGEST_SESSION else ""


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _at(claims: Mapping[str, Any], path: str) -> object:
    """The claim of this name, or the one inside another that its dots lead to."""
    if path in claims:  # a name with dots, as those are that begin with an address
        return claims[path]
    found: object = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found
