"""Sign-in over HTTP: by an issuer (OpenID Connect) or with a key; sessions, and their end.

The API takes a session as it takes a key, `Authorization: Bearer`, and knows no cookies: those are the pages' own.
"""

import logging
import secrets
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from cludale.kernel.ids import from_key
from cludale.kernel.principals import FIRST, Principal, PrincipalKind, Scope
from cludale.kernel.refusals import Busy, Invalid, NotFound, Refusal
from cludale.kernel.roles import NoRole, RolesDisagree, opened
from cludale.ports.issuer import Issuer, IssuerUnreachable, NotVouched, SignInPolicy, TooWeak
from cludale.services.concerts import sessions as domain
from cludale.services.concerts.key_service import KeyService
from cludale.services.concerts.session_service import SessionService
from cludale.services.concerts.sessions import BY_ISSUER, Member, Session, SignedOutMeanwhile, SignInAgain
from cludale.web.access import Access
from cludale.web.keyring import KeysUnknown
from cludale.web.problems import Statuses
from cludale.web.queries import Page
from cludale.web.responses import Response, json_response
from cludale.web.routing import Credential, Reply, Request, asking, route

_log = logging.getLogger(__name__)


class KeyRefused(Refusal):
    """Nobody signs in with this: it is no key, or one that has ended."""

    def __init__(self) -> None:
        super().__init__("There is no such key, or it has ended.")


class SignInRefused(Refusal):
    """It could not be verified who signs in: the issuer's answer is used up, too old, or of another sign-in."""

    def __init__(self) -> None:
        super().__init__("It could not be verified who you are: begin again.")


class SignInTooWeak(Refusal):
    """The issuer vouches less surely than is wanted here: a second factor is missing, or was shown long ago."""

    def __init__(self) -> None:
        super().__init__("You need a second factor here: sign in at your organization with it.")


class NoIssuer(Refusal):
    """No issuer is set here: sign in with a key."""

    def __init__(self) -> None:
        super().__init__("No issuer is set here: sign in with a key.")


class IssuerAlone(Refusal):
    """People sign in by the issuer here, and not with keys: those are for the API and the command line."""

    def __init__(self) -> None:
        super().__init__("People sign in by the issuer here, not with keys.")


class IssuerAway(Busy):
    """The issuer gave no answer, so nobody new can sign in now; sessions that there are go on."""

    def __init__(self) -> None:
        super().__init__("The issuer gives no answer. Try again.", retry_after_seconds=5)


STATUS: Statuses = {
    KeyRefused: 403,
    SignInRefused: 403,
    SignInTooWeak: 403,
    NoRole: 403,
    RolesDisagree: 403,
    SignedOutMeanwhile: 403,
    SignInAgain: 403,
    NoIssuer: 409,
    IssuerAlone: 409,
}

_LONGEST_ROLE, _MOST_ROLES = 100, 20

Random = Annotated[str, Meta(min_length=22, max_length=128, pattern="^[A-Za-z0-9_-]+$")]


class Ways(msgspec.Struct, frozen=True, rename="camel"):
    """How people sign in here."""

    with_key: bool
    by_issuer: bool


class BeginSignIn(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What whoever begins has made up, and keeps for the way back."""

    state: Random
    nonce: Random
    challenge: Annotated[Random, Meta(description="PKCE, S256: of the verifier that the way back needs")]


class SignInAt(msgspec.Struct, frozen=True, rename="camel"):
    """Where the browser goes."""

    sign_in_at: str


class SignIn(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Either a key, or what came back from the issuer."""

    key: Annotated[str, Meta(max_length=512)] | None = None
    code: Annotated[str, Meta(min_length=1, max_length=4_096)] | None = None
    verifier: Annotated[str, Meta(min_length=43, max_length=128, pattern="^[A-Za-z0-9._~-]+$")] | None = None
    nonce: Random | None = None
    issuer: Annotated[str, Meta(max_length=512, description="the way back's `iss`, if it has one")] | None = None


class SessionView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A session, without its token."""

    id: str
    name: str
    organizer: str
    scopes: list[Scope]
    concert_id: str | None
    began_at: datetime
    ends_at: Annotated[datetime, Meta(description="at the latest")]
    idle_seconds: Annotated[float, Meta(description="it ends after so long without a request")]


class BegunSession(SessionView, frozen=True, kw_only=True, rename="camel"):
    """A session that has just begun."""

    token: Annotated[str, Meta(description="the bearer; shown only here")]
    sign_out_hint: Annotated[
        str | None, Meta(description="what the issuer wants as `id_token_hint` when it is to sign them out, too")
    ] = None


class Over(msgspec.Struct, frozen=True, rename="camel"):
    """A session that is over."""

    id: str
    sign_out_at: Annotated[
        str | None,
        Meta(description="where the browser goes to end the issuer's session, too; `id_token_hint` is yours"),
    ] = None


class MemberView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Somebody who has signed in, as they were the last time."""

    id: str
    name: str
    organizer: str
    scopes: list[Scope]
    concert_id: str | None
    roles: Annotated[list[str], Meta(description="as the issuer says them; none for who signs in with a key")]
    first_at: datetime
    last_at: datetime
    sessions: Annotated[int, Meta(description="those that are not over")]


class AllOver(msgspec.Struct, frozen=True):
    """Somebody who is signed out everywhere."""

    id: str
    ended: int


class Renewed(msgspec.Struct, frozen=True):
    """The session's token, as used now."""

    token: str


class SessionsApi:
    """The routes of sign-in and sessions."""

    def __init__(
        self,
        sessions: SessionService,
        keys: KeyService,
        access: Access,
        issuer: Issuer | None,
        policy: SignInPolicy,
    ) -> None:
        self._sessions = sessions
        self._keys = keys
        self._access = access
        self._issuer = issuer
        self._policy = policy

    @route("GET", "/concerts/-/sign-in", summary="How people sign in", replies={200: Reply(Ways)})
    async def show_ways(self, _: Request) -> Response:
        """By the issuer, where one is set; else with a key."""
        return json_response(Ways(with_key=self._issuer is None, by_issuer=self._issuer is not None))

    @route(
        "POST",
        "/concerts/-/sign-in",
        summary="Begin to sign in by the issuer",
        description="Send the browser there; it comes back to the pages with a code.",
        replies={200: Reply(SignInAt)},
        refusals=(NoIssuer, IssuerAway),
    )
    async def begin_sign_in(self, _: Request, body: BeginSignIn) -> Response:
        """Where to go."""
        if self._issuer is None:
            raise NoIssuer
        try:
            url = await self._issuer.address(state=body.state, nonce=body.nonce, challenge=body.challenge)
        except IssuerUnreachable as error:
            raise IssuerAway from error
        return json_response(SignInAt(url))

    @route(
        "POST",
        "/concerts/-/sessions",
        summary="Sign in",
        description="With a key; or, where an issuer is set, with the code that it gave, which it is asked about.",
        replies={201: Reply(BegunSession, "The session.")},
        refusals=(
            *(KeyRefused, KeysUnknown, SignInRefused, SignInTooWeak, SignedOutMeanwhile, NoRole, RolesDisagree),
            *(NoIssuer, IssuerAlone, IssuerAway, Busy),
        ),
    )
    async def sign_in(self, _: Request, body: SignIn) -> Response:
        """201 the session."""
        if body.key is not None:
            if self._issuer is not None:
                raise IssuerAlone
            return await self._with_key(body.key)
        if body.code is None or body.verifier is None or body.nonce is None:
            raise Invalid(("key", "is required, or `code` with its `verifier` and `nonce`"))
        if self._issuer is None:
            raise NoIssuer
        try:
            person = await self._issuer.person(body.code, verifier=body.verifier, nonce=body.nonce, issuer=body.issuer)
        except IssuerUnreachable as error:
            raise IssuerAway from error
        except TooWeak as error:
            _log.warning("a sign-in was refused: %s", error)
            raise SignInTooWeak from error
        except NotVouched as error:
            raise SignInRefused from error
        opens = opened(person.roles, self._policy.roles)
        return await self._begin(
            of=f"{BY_ISSUER}{person.subject}",
            name=person.name,
            organizer=opens.organizer,
            scopes=tuple(sorted(opens.scopes)),
            only_concert=opens.concert_id,
            hint=person.hint or None,
            roles=person.roles,
            sid=person.session,
            vouched_at=person.vouched_at,
        )

    async def _with_key(self, key: str) -> Response:
        principal = self._access.principal(f"Bearer {key}")
        if principal is None or principal.kind is not PrincipalKind.KEY:
            raise KeyRefused
        if principal is FIRST:
            return await self._begin_for(principal, "the first key", of_digest=self._access.digest(key))
        known = await self._keys.key(principal.id)
        return await self._begin_for(principal, known.name, key_ends_at=known.ends_at)

    async def _begin_for(
        self, principal: Principal, name: str, *, of_digest: str = "", key_ends_at: datetime | None = None
    ) -> Response:
        return await self._begin(
            of=principal.id,
            of_digest=of_digest,
            name=name,
            organizer=principal.organizer,
            scopes=tuple(sorted(principal.scopes)),
            only_concert=principal.concert_id,
            key_ends_at=key_ends_at,
        )

    async def _begin(
        self,
        *,
        of: str,
        name: str,
        organizer: str,
        scopes: tuple[Scope, ...],
        only_concert: str | None,
        of_digest: str = "",
        key_ends_at: datetime | None = None,
        hint: str | None = None,
        roles: tuple[str, ...] = (),
        sid: str = "",
        vouched_at: int = 0,
    ) -> Response:
        id = from_key("session", secrets.token_hex(16))
        token = f"{id}.{secrets.token_urlsafe(32)}"
        now = self._sessions.now()
        session = Session(
            id=id,
            digest=self._access.digest(token),
            of=of,
            of_digest=of_digest,
            name=name,
            organizer=organizer,
            scopes=scopes,
            only_concert=only_concert,
            began_at=now,
            ends_at=domain.lasting(now, self._policy.seconds, key_ends_at),
            idle_seconds=self._policy.idle_seconds,
            roles=tuple(each[:_LONGEST_ROLE] for each in roles[:_MOST_ROLES]),
            sid=sid,
            vouched_at=vouched_at,
        )
        await self._sessions.begin(session)
        _log.info("signed in: %s, for %s", id, "somebody of the issuer's" if of.startswith(BY_ISSUER) else of)
        stamped = self._access.stamped(f"Bearer {token}")
        return json_response(BegunSession(**_shown(session), token=stamped, sign_out_hint=hint), 201)

    @route(
        "GET",
        "/concerts/-/sessions",
        scope=Scope.OPERATE,
        summary="List who is signed in",
        replies={200: Reply(Page[SessionView])},
    )
    async def list_sessions(self, _: Request) -> Response:
        """The newest first."""
        return json_response(Page([_view(each) for each in await self._sessions.all()], None))

    @route(
        "POST",
        "/concerts/-/sessions/{session_id}/end",
        scope=Scope.OPERATE,
        summary="End somebody's session",
        description="Within a second it opens nothing, anywhere.",
        replies={200: Reply(Over)},
        refusals=(NotFound, Busy),
    )
    async def end_session(self, request: Request) -> Response:
        """Gone."""
        await self._sessions.session(request.segment)
        await self._sessions.end(request.segment)
        _log.info("ended by %s: %s", asking(request).id, request.segment)
        return json_response(Over(request.segment))

    @route(
        "GET",
        "/concerts/-/staff",
        scope=Scope.OPERATE,
        summary="List who has signed in",
        description="Within 90 days, with what the issuer said of their roles the last time.",
        replies={200: Reply(Page[MemberView])},
    )
    async def list_staff(self, _: Request) -> Response:
        """Who signed in last first."""
        found = await self._sessions.staff()
        return json_response(Page([_member(member, sessions) for member, sessions in found], None))

    @route(
        "POST",
        "/concerts/-/staff/{person_id}/end",
        scope=Scope.OPERATE,
        summary="End all sessions of somebody",
        description="Within a second they open nothing, anywhere. Who still has their role, or key, may sign in again.",
        replies={200: Reply(AllOver)},
        refusals=(NotFound, Busy),
    )
    async def end_all_sessions(self, request: Request) -> Response:
        """How many there were."""
        return json_response(AllOver(request.segment, await self._sessions.end_all_of(request.segment)))

    @route(
        "GET",
        "/concerts/-/session",
        credential=Credential.SESSION,
        summary="Show the session that is asked with",
        replies={200: Reply(SessionView)},
        refusals=(NotFound, KeysUnknown),
    )
    async def show_session(self, request: Request) -> Response:
        """Its own."""
        return json_response(_view(await self._sessions.session(asking(request).id)))

    @route(
        "POST",
        "/concerts/-/session/renew",
        credential=Credential.SESSION,
        summary="Say that the session is in use",
        description="The token that comes back begins its idle time anew; its latest end stays.",
        replies={200: Reply(Renewed)},
        refusals=(KeysUnknown,),
    )
    async def renew_session(self, request: Request) -> Response:
        """The token, stamped anew."""
        return json_response(Renewed(self._access.stamped(request.authorization)))

    @route(
        "POST",
        "/concerts/-/session/end",
        credential=Credential.SESSION,
        summary="Sign out",
        description="Who signed in by the issuer is told where to end the session there, too.",
        replies={200: Reply(Over)},
        refusals=(KeysUnknown, Busy),
    )
    async def sign_out(self, request: Request) -> Response:
        """Its own is over."""
        own = asking(request).id
        of = next((each.of for each in await self._sessions.all() if each.id == own), "")
        await self._sessions.end(own)
        there = self._issuer is not None and of.startswith(BY_ISSUER)
        return json_response(Over(own, await self._issuer.sign_out_address() if there and self._issuer else None))

    @route(
        "GET",
        "/concerts/-/session/all",
        credential=Credential.SESSION,
        summary="List your sessions",
        description="All of the person, or of the key, that the session is of.",
        replies={200: Reply(Page[SessionView])},
        refusals=(NotFound, KeysUnknown),
    )
    async def list_own(self, request: Request) -> Response:
        """The newest first."""
        return json_response(Page([_view(each) for each in await self._sessions.own(asking(request).id)], None))

    @route(
        "POST",
        "/concerts/-/session/end-others",
        credential=Credential.SESSION,
        summary="Sign out everywhere else",
        description="Within a second your other sessions open nothing. For who signed in five minutes ago at the most.",
        replies={200: Reply(AllOver)},
        refusals=(NotFound, SignInAgain, KeysUnknown, Busy),
    )
    async def end_others(self, request: Request) -> Response:
        """How many there were."""
        own = asking(request).id
        ended = await self._sessions.end_others(own)
        _log.info("session %s ended %d other sessions of the same person", own, ended)
        return json_response(AllOver(own, ended))


def _member(member: Member, sessions: int) -> MemberView:
    return MemberView(
        id=member.id,
        name=member.name,
        organizer=member.organizer,
        scopes=list(member.scopes),
        concert_id=member.only_concert,
        roles=list(member.roles),
        first_at=member.first_at,
        last_at=member.last_at,
        sessions=sessions,
    )


def _view(session: Session) -> SessionView:
    return SessionView(**_shown(session))


def _shown(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "name": session.name,
        "organizer": session.organizer,
        "scopes": list(session.scopes),
        "concert_id": session.only_concert,
        "began_at": session.began_at,
        "ends_at": session.ends_at,
        "idle_seconds": session.idle_seconds,
    }
