"""Signing in and out, and who is signed in: the API's session in a cookie of these pages."""

import base64
import hashlib
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from cludale.pages import forms
from cludale.pages.api import Answer, Quota, Refused
from cludale.pages.newcomers import known_soon
from cludale.pages.site import Site, Visit
from cludale.pages.staff import cookies
from cludale.pages.staff.views import Going, Over, Session, Token, Ways
from cludale.web.responses import Headers, Response, Stream
from cludale.web.routing import Route

SIGN_IN = "/staff/sign-in"
RENEW_SECONDS = 60
"""How old the stamp in a token may get before it is renewed."""
REFUSED = {
    "key-refused": "no-key",
    "sign-in-refused": "again",
    "sign-in-too-weak": "weak",
    "no-role": "no-role",
    "roles-disagree": "roles",
    "busy": "away",
    "issuer-away": "away",
}
"""Why a sign-in failed, in the words that the page has for it."""


class Staff:
    """Somebody who is signed in, and their way to the API."""

    def __init__(self, site: Site, visit: Visit, token: str, session: Session) -> None:
        self.visit = visit
        self.session = session
        self.token = token
        self._site = site
        self.asked = 0
        """How many requests were made for this page."""
        self.quota: Quota | None = None
        """What was left at the last of them."""

    async def ask(self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] = {}) -> Answer:
        """The API's answer, whatever its status. Raises Unreachable, SignedOut, Forbidden."""
        self.asked += 1
        answer = await known_soon(
            lambda: self._site.ask(self.visit, method, path, body, token=self.token, headers=headers),
            age_seconds=lambda: stamped_seconds_ago(self.token),
        )
        if answer.quota is not None:
            self.quota = answer.quota
        return _let_in(answer)

    async def file(self, path: str) -> Answer | Stream:
        """A file of the API's. Raises Unreachable, SignedOut, Forbidden."""
        own = {"authorization": f"Bearer {self.token}"}
        got = await self._site.api.file(path, headers=own, caller=self.visit.request)
        return got if isinstance(got, Stream) else _let_in(got)

    def shown(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page of theirs."""
        return self._site.private(self.visit, template, status=status, staff=self, own=self.session, **values)

    def see(self, path: str) -> Response:
        """Redirect the browser to this path, which it asks for with GET."""
        return self._site.see(self.visit, path)

    def need(self, scope: str) -> None:
        """Raises Forbidden for a session that has not this scope."""
        if scope not in self.session.scopes:
            raise Forbidden(scope)

    def may(self, *scopes: str) -> bool:
        """Does the session have one of these scopes?"""
        return not set(scopes).isdisjoint(self.session.scopes)


class SignedOut(Exception):
    """Nobody is signed in, or not any more."""


class Forbidden(Exception):
    """Who is signed in lacks this scope."""

    def __init__(self, scope: str) -> None:
        super().__init__(scope)
        self.scope = scope


Page = Callable[[Staff], Awaitable[Response | Stream]]


class StaffRoute(NamedTuple):
    """What a page for who is signed in says of itself."""

    method: str
    path: str
    scope: str | None
    """What a session has to have for it."""
    carries_on: bool
    """Does asking for it keep the session alive? Not where nobody need be there."""
    most_bytes: int | None
    """Of a large form."""


class Signing:
    """The pages of sign-in, and the door to all others."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            self._site.route("GET", SIGN_IN, self._show),
            self._site.route("POST", SIGN_IN, self._with_key),
            self._site.route("GET", f"{SIGN_IN}/go", self._go),
            self._site.route("GET", f"{SIGN_IN}/back", self._back),
            self._site.route("POST", "/staff/sign-out", self._sign_out),
        ]

    def route(self, marked: StaffRoute, page: Page) -> Route:
        """A page for who is signed in. Others are sent to sign in, and who may not see it is told so."""
        method, path, scope, carries_on, most_bytes = marked

        async def shown(visit: Visit) -> Response | Stream:
            try:
                staff = await self._staff(visit)
                response = await self._allowed(staff, scope, page)
            except SignedOut:
                onward = f"?next={quote(path, safe='')}" if method == "GET" and "{" not in path else ""
                return self._site.see(visit, SIGN_IN + onward, headers=cookies.cleared(visit))
            token = await self._renewed(staff) if carries_on else None
            kept: Headers = () if token is None else (cookies.signed_in(visit, token),)
            return response._replace(headers=(*response.headers, *kept))

        return self._site.route(method, path, shown, most_bytes=most_bytes)

    async def _allowed(self, staff: Staff, scope: str | None, page: Page) -> Response | Stream:
        try:
            if scope is not None:
                staff.need(scope)
            return await page(staff)
        except Forbidden as forbidden:
            return staff.shown("staff/forbidden.html", status=403, scope=forbidden.scope)

    async def _staff(self, visit: Visit) -> Staff:
        token = cookies.token(visit)
        if token is None:
            raise SignedOut
        answer = await known_soon(
            lambda: self._site.ask(visit, "GET", "/concerts/-/session", token=token),
            age_seconds=lambda: stamped_seconds_ago(token),
        )
        if answer.status in (401, 404):
            raise SignedOut
        if answer.status != 200:
            raise Refused(answer.problem)
        return Staff(self._site, visit, token, answer.read(Session))

    async def _renewed(self, staff: Staff) -> str | None:
        """The token with a stamp of now, if its own is old: so one who does something stays."""
        if stamped_seconds_ago(staff.token) < RENEW_SECONDS:
            return None
        answer = await self._site.ask(staff.visit, "POST", "/concerts/-/session/renew", token=staff.token)
        return answer.read(Token).token if answer.status == 200 else None

    # Pages

    async def _show(self, visit: Visit) -> Response:
        return await self._form(visit, cookies.local(visit.query.get("next")))

    async def _form(self, visit: Visit, onward: str, *, wrong: str = "", status: int = 200) -> Response:
        ways = (await self._site.ask(visit, "GET", "/concerts/-/sign-in")).read(Ways)
        is_private = cookies.is_private(visit)
        return self._site.private(
            visit, "staff/sign-in.html", status=status, ways=ways, onward=onward, wrong=wrong, is_private=is_private
        )

    async def _with_key(self, visit: Visit) -> Response:
        fields = forms.read(visit.request)
        onward = cookies.local(fields.get("next"))
        if not cookies.is_private(visit):
            return await self._form(visit, onward, status=403)
        answer = await self._site.ask(visit, "POST", "/concerts/-/sessions", {"key": fields.get("key", "")[:512]})
        return await self._entered(visit, answer, onward)

    async def _go(self, visit: Visit) -> Response:
        """On to the issuer. By GET, for a browser that follows a form there would ask the policy for forms."""
        onward = cookies.local(visit.query.get("next"))
        if not cookies.is_private(visit):
            return await self._form(visit, "/staff", status=403)
        try:
            forms.check_origin(visit.request)
        except forms.FormRefused:  # another site led here: nobody is signed in by a click that they made elsewhere
            return await self._form(visit, onward)
        state, nonce, verifier = (secrets.token_urlsafe(size) for size in (24, 24, 48))
        hashed = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {"state": state, "nonce": nonce, "challenge": hashed}
        answer = await self._site.ask(visit, "POST", "/concerts/-/sign-in", asked)
        if answer.status != 200:
            return await self._form(visit, onward, wrong=_why(answer), status=answer.status)
        kept = cookies.began(visit, state=state, nonce=nonce, verifier=verifier, onward=onward)
        return self._site.see(visit, answer.read(Going).sign_in_at, headers=(kept,))

    async def _back(self, visit: Visit) -> Response:
        """Back from the issuer, which may have refused. What came back is used up, so the cookie goes, too."""
        begun = cookies.begun(visit, visit.query.get("state", ""))
        code = visit.query.get("code")
        if begun is None or not code:
            return await self._form(visit, "/staff", wrong="again", status=403)
        nonce, verifier, onward = begun
        asked = {"code": code, "nonce": nonce, "verifier": verifier, "issuer": visit.query.get("iss")}
        answer = await self._site.ask(visit, "POST", "/concerts/-/sessions", asked)
        return await self._entered(visit, answer, onward)

    async def _entered(self, visit: Visit, answer: Answer, onward: str) -> Response:
        """On to where they wanted to, with a fresh session and none of what was before."""
        if answer.status != 201:
            shown = await self._form(visit, onward, wrong=_why(answer), status=answer.status)
            return shown._replace(headers=(*shown.headers, cookies.gone(visit, cookies.SIGN_IN)))
        before = cookies.token(visit)
        if before is not None:  # who signs in anew has one session; if the one before can't be ended now, time does
            await self._site.ask(visit, "POST", "/concerts/-/session/end", token=before)
        begun = answer.read(Token)
        kept = (cookies.signed_in(visit, begun.token), *cookies.hinted(visit, begun.sign_out_hint))
        return self._site.see(visit, onward, headers=(*kept, cookies.gone(visit, cookies.SIGN_IN)))

    async def _sign_out(self, visit: Visit) -> Response:
        forms.read(visit.request)
        token = cookies.token(visit)
        if token is not None:
            answer = await self._site.ask(visit, "POST", "/concerts/-/session/end", token=token)
            if answer.status not in (200, 401):
                raise Refused(answer.problem)  # not signed out, and told so
            there = answer.read(Over).sign_out_at if answer.status == 200 else None
            if there is not None:
                return self._out_there(visit, there)
        return self._site.see(visit, SIGN_IN, headers=cookies.cleared(visit))

    def _out_there(self, visit: Visit, there: str) -> Response:
        """On to the issuer, to be signed out there, too: by a page, for the policy lets no form lead elsewhere."""
        hint = cookies.hint(visit)
        url = there if hint is None else f"{there}&{urlencode({'id_token_hint': hint})}"
        headers = (("refresh", f"0; url={url}"), *cookies.cleared(visit))
        return self._site.private(visit, "staff/signed-out.html", there=url, headers=headers)


def stamped_seconds_ago(token: str) -> float:
    """Seconds since the session's token was stamped; infinite for a token without a stamp."""
    stamp = token.split(".")[2:3]
    return time.time() - int(stamp[0]) if stamp and stamp[0].isdecimal() and len(stamp[0]) <= 12 else math.inf


def _let_in(answer: Answer) -> Answer:
    """An answer to somebody who may have one. Raises SignedOut, Forbidden."""
    if answer.status == 401:
        raise SignedOut
    if answer.status == 403 and answer.problem.name == "scope-missing":
        raise Forbidden(str(answer.problem.values.get("scope", "")))
    return answer


def _why(answer: Answer) -> str:
    return REFUSED.get(answer.problem.name, "away" if answer.status >= 500 else "again")
