"""Issuer: who says who somebody is (OpenID Connect). It asks for their second factor; here nobody has a password."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from cludale.kernel.roles import Opens


class SignInPolicy(NamedTuple):
    """What the operator says of sign-in."""

    roles: Mapping[str, Opens] = {}
    """The issuer's roles, each with what it opens."""
    seconds: float = 43_200
    """How long a session lasts at the longest."""
    idle_seconds: float = 1_800
    """How long it lasts without a request."""


class IssuerUnreachable(Exception):
    """The issuer gave no answer in time, or none of its kind; try again."""


class NotVouched(Exception):
    """What came back says nothing that can be trusted: used up, of another sign-in, or wrongly signed."""


class TooWeak(NotVouched):
    """It vouches for them less surely than is wanted: without a second factor, or it asked them long ago."""


class Person(NamedTuple):
    """Somebody, as the issuer knows them."""

    subject: str
    """Its own name for them, which stays."""
    name: str
    """What to call them."""
    roles: tuple[str, ...]
    hint: str = ""
    """What the issuer knows this sign-in by when it is asked to end it: its ID token."""
    session: str = ""
    """The issuer's own name for its session (`sid`), if it says one."""
    vouched_at: int = 0
    """When it said all this, by its own clock, in Unix seconds."""


class SignedOutThere(NamedTuple):
    """Somebody's session at the issuer is over, as the issuer says of its own accord."""

    subject: str
    """Whose; empty where only `session` is said."""
    session: str
    """Which (`sid`); empty where all of theirs are."""
    at: int
    """When it said so, by its own clock, in Unix seconds."""


class Issuer(Protocol):
    """An OpenID Connect issuer, for the authorization code flow with PKCE."""

    async def address(self, *, state: str, nonce: str, challenge: str) -> str:
        """Where the browser goes to sign in. Raises IssuerUnreachable."""
        ...

    async def person(self, code: str, *, verifier: str, nonce: str, issuer: str | None) -> Person:
        """Who came back with `code`; `issuer` as the way back says it. Raises IssuerUnreachable, NotVouched."""
        ...

    async def signed_out(self, token: str) -> SignedOutThere:
        """What a logout token says (OpenID Connect Back-Channel Logout 1.0). Raises IssuerUnreachable, NotVouched."""
        ...

    async def name(self) -> str:
        """The issuer's own, `iss`. Raises IssuerUnreachable."""
        ...

    async def sign_out_address(self) -> str | None:
        """Where the browser goes to end its session there, too; None where the issuer has no such place, or is away."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...
