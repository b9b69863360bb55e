"""What the issuer says of its own accord: somebody is signed out there. It is believed by its signature, or by naming
a session that nobody else knows. (OpenID Connect Back-Channel and Front-Channel Logout 1.0)
"""

import logging
from typing import Annotated
from urllib.parse import parse_qs

import msgspec
from msgspec import Meta

from cludale.kernel.refusals import Refusal
from cludale.ports.issuer import Issuer, IssuerUnreachable, NotVouched
from cludale.services.concerts.session_api import IssuerAway, NoIssuer
from cludale.services.concerts.session_service import SessionService
from cludale.services.concerts.sessions import BY_ISSUER, REMEMBERED_FOR, SignedOut
from cludale.web.problems import Statuses
from cludale.web.responses import Response
from cludale.web.routing import Request, route

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 65_536
_NO_STORE = (("cache-control", "no-store"),)


class NotSignedOut(Refusal):
    """Nobody is signed out by this: it is not the issuer's, too old, or about nobody."""

    def __init__(self) -> None:
        super().__init__("This is not what the issuer says of somebody who is signed out.")


STATUS: Statuses = {NotSignedOut: 400}


class FrontChannel(msgspec.Struct, frozen=True, kw_only=True):
    """The query of the address that an issuer has a browser load when somebody signs out there."""

    iss: Annotated[str, Meta(min_length=1, max_length=512)]
    sid: Annotated[str, Meta(min_length=16, max_length=256)]
    """Its name for the session, which nobody guesses."""


class SignOutApi:
    """Where the issuer says it. Who is not signed in here is answered alike, for an issuer tells all its clients."""

    def __init__(self, sessions: SessionService, issuer: Issuer | None) -> None:
        self._sessions = sessions
        self._issuer = issuer

    @route("POST", "/concerts/-/sign-out", reads_body=True, max_body_bytes=MAX_BODY_BYTES)
    async def sign_out(self, request: Request) -> Response:
        """By the back channel: a form with `logout_token`. Sent again it changes nothing.

        Raises NotSignedOut, NoIssuer, IssuerAway, Busy.
        """
        if self._issuer is None:
            raise NoIssuer
        try:
            (token,) = parse_qs(request.body.decode(), max_num_fields=8)["logout_token"]
            said = await self._issuer.signed_out(token)
        except (ValueError, KeyError, NotVouched) as error:
            _log.warning("somebody says that a session at the issuer is over, and is not believed: %s", error)
            raise NotSignedOut from error
        except IssuerUnreachable as error:
            raise IssuerAway from error
        of = f"{BY_ISSUER}{said.subject}" if said.subject else ""
        return await self._signed_out(of, said.session, said.at)

    @route("GET", "/concerts/-/sign-out")
    async def sign_out_in_frame(self, request: Request, query: FrontChannel) -> Response:  # noqa: ARG002 - a route's
        """By the front channel: the issuer's page loads it in a frame. No cookie comes with it, and none is wanted.

        Raises NotSignedOut, NoIssuer, IssuerAway, Busy.
        """
        if self._issuer is None:
            raise NoIssuer
        try:
            is_its = query.iss == await self._issuer.name()
        except IssuerUnreachable as error:
            raise IssuerAway from error
        if not is_its:
            raise NotSignedOut
        vouched_at = [each.vouched_at for each in await self._sessions.all() if each.sid == query.sid]
        if not vouched_at:
            return Response(200, b"", headers=_NO_STORE)
        return await self._signed_out("", query.sid, max(vouched_at))

    async def _signed_out(self, of: str, sid: str, at: int) -> Response:
        until = self._sessions.now() + REMEMBERED_FOR
        await self._sessions.signed_out(SignedOut(of=of, sid=sid, at=at, until=until))
        _log.info("signed out by the issuer")
        return Response(200, b"", headers=_NO_STORE)
