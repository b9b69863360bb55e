"""The door's pages: pairing, scanning, undoing, counting, and what a device without network loads and tells later."""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from cludale.pages import forms
from cludale.pages.api import Answer, Refused, Unreachable, path
from cludale.pages.door import device as devices
from cludale.pages.door import worker
from cludale.pages.door.device import Device, door_of, snapshot_payload
from cludale.pages.door.views import Admission, Concert, Conflicts, Key, PublicKeys, Through
from cludale.pages.newcomers import known_soon
from cludale.pages.site import NO_STORE, SECURITY, Missing, Site, Visit
from cludale.pages.staff.cookies import is_private
from cludale.web.responses import JSON, Headers, Response
from cludale.web.routing import Route

PATH = worker.PATH
UNDO_REASONS = ("mistake", "turned-away", "test")
RESULTS = (
    *("valid", "used", "not-inside", "revoked", "replaced", "wrong-concert", "not-yet", "over", "forged", "unknown"),
    *("moved", "stale", "away"),
)
"""What the page has words for: the API's results, that somebody was moved, and what a page says that got no answer."""
MERGED_AT_ONCE = 20
"""How many scans one form tells at most; so many fit into one."""
PAIRED: Headers = (("x-door", "paired"),)
"""Marks the page that a service worker may keep."""
_SCANS = ("tickets", "admissions")


class Unpaired(Exception):
    """The device's key is not taken any more."""


class Crew(NamedTuple):
    """A paired device that asks, and its way to the API."""

    site: Site
    visit: Visit
    device: Device

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """The API's answer, whatever its status. Raises Unreachable, Unpaired."""
        answer = await known_soon(
            lambda: self.site.ask(self.visit, method, path, body, token=self.device.key),
            age_seconds=lambda: self.device.age_seconds(self.site.now()),
        )
        if answer.status in (401, 403):
            raise Unpaired
        return answer


class ConcertContext(NamedTuple):
    """What a page shows of a concert beside the scan; each is None where there was no answer."""

    concert: Concert | None
    counts: dict[str, int] | None
    reentry: bool | None


Page = Callable[[Crew], Awaitable[Response]]


class Entrance:
    """All of the door's pages."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._worker = worker.worker(site.assets)
        self._manifest = worker.manifest(site.assets)

    def routes(self) -> list[Route]:
        """Its routes."""
        plain, paired = self._site.route, self._paired
        return [
            paired("GET", PATH, self._page),
            plain("POST", f"{PATH}/pair", self._pair),
            plain("POST", f"{PATH}/unpair", self._unpair),
            paired("POST", f"{PATH}/scan", self._scan),
            paired("POST", f"{PATH}/undo", self._undo),
            paired("GET", f"{PATH}/conflicts", self._conflicts),
            paired("GET", f"{PATH}/counts", self._counts),
            paired("GET", f"{PATH}/snapshot", self._snapshot),
            paired("POST", f"{PATH}/merge", self._merge),
            plain("GET", f"{PATH}/worker.js", self._give(self._worker)),
            plain("GET", f"{PATH}/manifest.webmanifest", self._give(self._manifest)),
        ]

    def stop(self) -> None:
        """Nothing goes on by itself."""

    def _give(self, response: Response) -> Callable[[Visit], Awaitable[Response]]:
        async def given(_: Visit) -> Response:
            return response

        return given

    def _paired(self, method: str, path: str, page: Page) -> Route:
        """A page for a device that is paired; any other is asked for its code."""

        async def shown(visit: Visit) -> Response:
            device = devices.device(visit)
            if device is None:
                return self._refused(visit, known=False)
            try:
                return await page(Crew(self._site, visit, device))
            except Unpaired:
                return self._refused(visit, known=True)

        return self._site.route(method, path, shown)

    def _refused(self, visit: Visit, *, known: bool) -> Response:
        """To a device that is not paired, or was (`known`) and its key is not taken any more."""
        if _wants_json(visit):
            return _json(b'{"error":"unpaired"}', 401)
        return self._form(visit, wrong="revoked", status=401) if known else self._form(visit)

    # Pairing

    def _form(self, visit: Visit, *, wrong: str = "", status: int = 200, headers: Headers = ()) -> Response:
        return self._site.private(
            visit, "door/pair.html", status=status, headers=headers, wrong=wrong, is_private=is_private(visit)
        )

    async def _pair(self, visit: Visit) -> Response:
        fields = forms.read(visit.request)
        if not is_private(visit):
            return self._form(visit, status=403)
        body = {"code": fields.get("code", "")[:40]}
        try:
            answer = await self._site.ask(visit, "POST", "/concerts/-/door/keys", body)
        except Unreachable:
            return self._form(visit, wrong="away", status=503)
        if answer.status != 201:
            wrong = {403: "code", 422: "code", 429: "busy"}.get(answer.status, "away")
            return self._form(visit, wrong=wrong, status=answer.status)
        made = answer.read(Key)
        now = self._site.now()
        device = Device(
            key=made.key,
            concert=made.concert_id or "",
            door=door_of(made.name),
            name=made.name,
            ends_at=made.ends_at,
            paired_at=now,
        )
        return self._site.see(visit, PATH, headers=(devices.paired(visit, device, now=now),))

    async def _unpair(self, visit: Visit) -> Response:
        forms.read(visit.request)
        return self._site.see(visit, PATH, headers=(devices.unpaired(visit),))

    # Scanning

    async def _page(
        self,
        crew: Crew,
        *,
        answer: Admission | None = None,
        direction: str = "in",
        undone: str = "",
        status: int = 200,
    ) -> Response:
        known = await self._known(crew)
        headers = PAIRED if answer is None and not undone else ()
        return self._site.private(
            crew.visit,
            "door/scan.html",
            status=status,
            headers=headers,
            device=crew.device,
            concert=known.concert,
            zone=None if known.concert is None else known.concert.zone_info,
            counts=known.counts,
            reentry=known.reentry,
            answer=answer,
            direction=direction,
            undone=undone,
            scan=f"page-{secrets.token_hex(12)}",
            reasons=UNDO_REASONS,
            results=RESULTS,
        )

    async def _known(self, crew: Crew) -> ConcertContext:
        """What there is to know; of a server that is away nothing. Raises Unpaired."""
        id = crew.device.concert
        asked = (
            self._site.ask(crew.visit, "GET", path("concerts", id)),
            crew.ask("GET", path(*_SCANS, concertId=id)),
            crew.ask("GET", path("tickets", "snapshot", concertId=id)),
        )
        found = await asyncio.gather(*asked, return_exceptions=True)
        said: list[Answer | None] = []
        for each in found:
            if isinstance(each, BaseException) and not isinstance(each, Unreachable):
                raise each
            said.append(each if isinstance(each, Answer) and each.status == 200 else None)
        concert, counts, shot = said
        return ConcertContext(
            None if concert is None else concert.read(Concert),
            None if counts is None else counts.read(Through).totals,
            None if shot is None else bool(snapshot_payload(shot.body).get("reentry")),
        )

    async def _scan(self, crew: Crew) -> Response:
        fields = forms.read(crew.visit.request)
        direction = "out" if fields.get("direction") == "out" else "in"
        body = {
            # Base45 has capital letters alone, and a hand scanner may be set to small ones.
            "code": fields.get("code", "").upper()[:2_000] or "-",
            "door": crew.device.door,
            "concertId": crew.device.concert,
            "direction": direction,
            "scanId": fields.get("scan") or None,
        }
        try:
            answer = await crew.ask("POST", path(*_SCANS), body)
        except Unreachable:
            answer = Answer(503, b"{}")
        if _wants_json(crew.visit):
            return _json(answer.body, answer.status)
        if answer.status == 200:
            return await self._page(crew, answer=answer.read(Admission), direction=direction)
        if answer.status < 500 and answer.status != 429:
            raise Refused(answer.problem)
        return await self._page(crew, answer=Admission(result="away"), direction=direction, status=503)

    async def _undo(self, crew: Crew) -> Response:
        fields = forms.read(crew.visit.request)
        reason = fields.get("reason", "")
        body = {"reason": reason if reason in UNDO_REASONS else UNDO_REASONS[0]}
        answer = await crew.ask("POST", path("tickets", fields.get("ticket") or "-", "undo"), body)
        if answer.status == 404:
            raise Missing
        if answer.status not in (200, 409):
            raise Refused(answer.problem)
        return await self._page(crew, undone="yes" if answer.status == 200 else "no")

    async def _conflicts(self, crew: Crew) -> Response:
        id = crew.device.concert
        answer = await crew.ask("GET", path(*_SCANS, "conflicts", concertId=id))
        if answer.status != 200:
            raise Refused(answer.problem)
        found = await self._site.ask(crew.visit, "GET", path("concerts", id))
        concert = found.read(Concert) if found.status == 200 else Concert(artist=id, date="")
        items = answer.read(Conflicts).items
        return self._site.private(
            crew.visit,
            "door/conflicts.html",
            device=crew.device,
            concert=concert,
            conflicts=items,
            zone=concert.zone_info,
        )

    # For the page's script

    async def _counts(self, crew: Crew) -> Response:
        answer = await crew.ask("GET", path(*_SCANS, concertId=crew.device.concert))
        if answer.status != 200:
            return _json(answer.body, answer.status)
        return _json(msgspec.json.encode(answer.read(Through).totals))

    async def _snapshot(self, crew: Crew) -> Response:
        """What the device goes by, and the keys that it believes, which come by the same way."""
        shot, keys = await asyncio.gather(
            crew.ask("GET", path("tickets", "snapshot", concertId=crew.device.concert)),
            crew.ask("GET", path("tickets", "keys")),
        )
        for each in (shot, keys):
            if each.status != 200:
                return _json(each.body, each.status)
        body = msgspec.json.encode({"snapshot": shot.body.decode(), "keys": keys.read(PublicKeys).keys})
        tag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
        if crew.visit.request.header(b"if-none-match") == tag:
            return Response(304, b"", JSON, (("etag", tag), NO_STORE, *SECURITY))
        return _json(body, headers=(("etag", tag),))

    async def _merge(self, crew: Crew) -> Response:
        fields = forms.read(crew.visit.request)
        try:
            scans = msgspec.json.decode(fields.get("scans", "[]"), type=list[dict[str, Any]])
        except msgspec.MsgspecError:
            return _json(b'{"error":"scans"}', 422)
        body = {"device": fields.get("device", ""), "clock": fields.get("clock", ""), "scans": scans[:MERGED_AT_ONCE]}
        answer = await crew.ask("POST", path(*_SCANS, "merge"), body)
        return _json(answer.body, answer.status)


def _wants_json(visit: Visit) -> bool:
    return (visit.request.header(b"accept") or "").startswith(JSON)


def _json(body: bytes, status: int = 200, headers: Headers = ()) -> Response:
    return Response(status, body, JSON, (*SECURITY, NO_STORE, *headers))
