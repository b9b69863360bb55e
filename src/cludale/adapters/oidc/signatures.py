"""Who signed a token: by the issuer's public keys, which are asked for anew when it signs with another one."""

import asyncio
import base64
import json
import time
from collections.abc import Collection
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from cludale.adapters.oidc.asking import Asking
from cludale.ports.issuer import IssuerUnreachable

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""All with a public key: none that a shared secret, or nothing, could have made."""
AGAIN_SECONDS = 5.0
"""A key that is not known makes us ask for all of them, and no more often than that."""
FRESH_SECONDS = 3_600.0
"""Asked for anew after that: a key that the issuer took back is no longer believed."""
LONGEST_TOKEN = 32_768


class WronglySigned(Exception):
    """No key of the issuer made this."""


class Signatures:
    """The keys at one address."""

    def __init__(self, url: str, asking: Asking, *, again_seconds: float = AGAIN_SECONDS) -> None:
        self._url = url
        self._asking = asking
        self._again_seconds = again_seconds
        self._keys: KeySet | None = None
        self._asked_at = 0.0
        self._lock = asyncio.Lock()

    async def claims(self, token: str, *, types: Collection[str] | None = None) -> dict[str, Any]:
        """What a token says that the issuer signed; of one of these `types` (lower case, empty for none), or any.

        Raises WronglySigned, IssuerUnreachable.
        """
        if not 0 < len(token) <= LONGEST_TOKEN:
            raise WronglySigned("no token")
        keys = await self._load_keys(fresh_seconds=FRESH_SECONDS)
        try:
            return _claims(token, keys, types)
        except (JoseError, ValueError) as error:
            newer = await self._load_keys(fresh_seconds=self._again_seconds)
            if newer is keys:
                raise WronglySigned(f"a token: {type(error).__name__}") from error
        try:
            return _claims(token, newer, types)
        except (JoseError, ValueError) as error:
            raise WronglySigned(f"a token: {type(error).__name__}") from error

    async def _load_keys(self, *, fresh_seconds: float) -> KeySet:
        async with self._lock:
            now = time.monotonic()
            if self._keys is None or now - self._asked_at >= fresh_seconds:
                said = await self._asking.get(self._url)
                try:
                    self._keys = _key_set(said)
                except (JoseError, ValueError, KeyError, TypeError) as error:
                    raise IssuerUnreachable(f"{self._url} has no keys that can be read") from error
                self._asked_at = now
            return self._keys


def _key_set(said: dict[str, Any]) -> KeySet:
    """Those that sign, of kinds that we know; an issuer may have others beside them."""
    usable = [
        each
        for each in said["keys"]
        if isinstance(each, dict) and each.get("kty") in ("RSA", "EC", "OKP") and each.get("use", "sig") == "sig"
    ]
    return KeySet.import_key_set({"keys": usable})


def _claims(token: str, keys: KeySet, types: Collection[str] | None) -> dict[str, Any]:
    head = token.partition(".")[0]
    header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    if not isinstance(header, dict):
        raise ValueError("the token has no header")  # noqa: TRY004 - what is read here is wrong, not its type
    if types is not None and str(header.get("typ", "")).lower().removeprefix("application/") not in types:
        raise ValueError("the token is of another kind")
    kid = header.get("kid")
    if kid is None and len(keys.keys) != 1:
        raise ValueError("the token does not say which key")
    key = keys.keys[0] if kid is None else keys.get_by_kid(kid)
    return dict(jwt.decode(token, key, algorithms=list(ALGORITHMS)).claims)
