"""The pages of who is signed in: their session, keys, everyone's sessions, and pairing a door's device."""

from collections.abc import Mapping

from cludale.kernel.principals import Scope
from cludale.pages import forms
from cludale.pages.api import path
from cludale.pages.site import checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.pages.staff.views import Code, Key, Keys, Members, Sessions
from cludale.web.responses import Response
from cludale.web.routing import Route

_OWN = ("concerts", "-", "session")
_KEYS, _SESSIONS, _STAFF = ("concerts", "-", "keys"), ("concerts", "-", "sessions"), ("concerts", "-", "staff")


class Office(StaffPages):
    """All of the staff's pages."""

    def routes(self) -> list[Route]:
        """Theirs, and those of sign-in."""
        return [*self._signing.routes(), *super().routes()]

    def stop(self) -> None:
        """Nothing goes on by itself."""

    @page("GET", "/staff/session")
    async def _own(self, staff: Staff, *, is_too_late: bool = False) -> Response:
        found = checked(await staff.ask("GET", path(*_OWN, "all"))).read(Sessions)
        others = [each for each in found.items if each.id != staff.session.id]
        return staff.shown("staff/own.html", status=403 if is_too_late else 200, others=others, is_too_late=is_too_late)

    @page("POST", "/staff/session/end-others")
    async def _end_others(self, staff: Staff) -> Response:
        forms.read(staff.visit.request)
        answer = await staff.ask("POST", path(*_OWN, "end-others"))
        if answer.status == 403 and answer.problem.name == "sign-in-again":
            return await self._own(staff, is_too_late=True)
        checked(answer)
        return staff.see("/staff/session")

    # Keys

    @page("GET", "/staff/keys")
    async def _keys(
        self, staff: Staff, *, made: Key | None = None, wrong: str = "", fields: Mapping[str, str] = {}
    ) -> Response:
        found = checked(await staff.ask("GET", path(*_KEYS))).read(Keys)
        now = self._site.now()
        ended = {key.id for key in found.items if key.ends_at is not None and key.ends_at <= now}
        return staff.shown(
            "staff/keys.html",
            status=422 if wrong else 200,
            keys=found.items,
            ended=ended,
            scopes=list(Scope),
            made=made,
            wrong=wrong,
            fields=fields,
        )

    @page("POST", "/staff/keys")
    async def _make_key(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        asked = {
            "name": fields.get("name", ""),
            "scopes": [scope for scope in Scope if f"scope-{scope}" in fields],
            "organizer": fields.get("organizer") or "default",
            "concertId": fields.get("concert") or None,
            "endsAt": _midnight(fields.get("ends")),
        }
        answer = await staff.ask("POST", path(*_KEYS), asked)
        if answer.status in (409, 422):
            return await self._keys(staff, wrong=answer.problem.detail, fields=fields)
        return await self._keys(staff, made=checked(answer).read(Key))

    @page("POST", "/staff/keys/{key_id}/revoke")
    async def _revoke_key(self, staff: Staff) -> Response:
        forms.read(staff.visit.request)
        checked(await staff.ask("POST", path(*_KEYS, staff.visit.segment, "revoke")))
        return staff.see("/staff/keys")

    # Sessions

    @page("GET", "/staff/sessions")
    async def _sessions(self, staff: Staff) -> Response:
        found = checked(await staff.ask("GET", path(*_SESSIONS))).read(Sessions)
        return staff.shown("staff/sessions.html", sessions=found.items)

    @page("POST", "/staff/sessions/{session_id}/end")
    async def _end_session(self, staff: Staff) -> Response:
        forms.read(staff.visit.request)
        answer = await staff.ask("POST", path(*_SESSIONS, staff.visit.segment, "end"))
        if answer.status != 404:  # it may have ended meanwhile
            checked(answer)
        return staff.see("/staff/sessions")

    # Who has signed in

    @page("GET", "/staff/people")
    async def _people(self, staff: Staff) -> Response:
        found = checked(await staff.ask("GET", path(*_STAFF))).read(Members)
        return staff.shown("staff/people.html", people=found.items)

    @page("POST", "/staff/people/{person_id}/end")
    async def _end_all(self, staff: Staff) -> Response:
        forms.read(staff.visit.request)
        answer = await staff.ask("POST", path(*_STAFF, staff.visit.segment, "end"))
        if answer.status != 404:  # they may have been forgotten meanwhile
            checked(answer)
        return staff.see("/staff/people")

    # The door

    @page("GET", "/staff/door")
    async def _door(self, staff: Staff) -> Response:
        return staff.shown("staff/door.html", made=None, wrong="", fields={})

    @page("POST", "/staff/door")
    async def _pair(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        asked = {
            "name": fields.get("name", ""),
            "concertId": fields.get("concert", ""),
            "keyEndsAt": _midnight(fields.get("ends")),
        }
        answer = await staff.ask("POST", path("concerts", "-", "door", "codes"), asked)
        if answer.status in (404, 409, 422):
            return staff.shown("staff/door.html", status=422, made=None, wrong=answer.problem.detail, fields=fields)
        return staff.shown("staff/door.html", made=checked(answer).read(Code), wrong="", fields={})


def _midnight(day: str | None) -> str | None:
    """The end of the day that a form says, as the API wants it; what is no day the API says."""
    return f"{day}T23:59:59Z" if day else None
