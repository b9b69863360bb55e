"""Webhooks: listed, made, tried, given new secrets, switched on and off, deleted; what failed is sent again.

A secret is in the answer to the form that made it, and nowhere else.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from cludale.pages import forms
from cludale.pages.api import Problem, path
from cludale.pages.desk import asking
from cludale.pages.desk.asking import SURE
from cludale.pages.site import checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response

AT, DELIVERIES = "/staff/webhooks", "/staff/webhook-deliveries"
STATUSES = ("Pending", "Delivered", "Failed")
OVERLAPS = ("0", "3600", "86400", "604800")
"""For how many seconds deliveries are signed with the old secrets, too: not at all, an hour, a day, a week."""
_HOOKS, _DELIVERIES = ("notifications", "webhooks"), ("notifications", "webhook-deliveries")
_EVENT = "event-"


class Webhook(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An endpoint."""

    id: str
    url: str
    status: str
    stopped: str | None
    failing_since: datetime | None
    event_types: tuple[str, ...]
    concert_id: str | None
    about: str | None
    tells_by_email: bool
    signatures: tuple[str, ...]
    public_key: str | None
    former_secrets_until: datetime | None
    created_at: datetime
    secret: str | None = None
    """The secret, to be shown once: of a webhook that was just made, or that has a new one."""


class Webhooks(msgspec.Struct, frozen=True):
    """All webhooks of an organizer."""

    items: tuple[Webhook, ...]


class EventType(msgspec.Struct, frozen=True):
    """What an endpoint can be told of."""

    type: str
    about: str


class EventTypes(msgspec.Struct, frozen=True):
    """All of them."""

    items: tuple[EventType, ...]


class Delivery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an endpoint is told of one event."""

    id: str
    webhook_id: str
    message_id: str
    type: str
    status: str
    created_at: datetime | None
    attempts: int
    due_at: datetime | None
    ended_at: datetime | None
    answer: int | None
    detail: str | None
    body: str = ""


class Deliveries(msgspec.Struct, frozen=True):
    """A page of them."""

    items: tuple[Delivery, ...]
    next: str | None = None


class Resent(msgspec.Struct, frozen=True):
    """What is sent again."""

    items: tuple[Delivery, ...]
    more: bool


class WebhookPages(StaffPages):
    """The pages of webhooks and of what they are told."""

    # All of them

    @page("GET", AT, "read")
    async def _list(self, staff: Staff) -> Response:
        return await self._listed(staff, {})

    async def _listed(self, staff: Staff, fields: Mapping[str, str], wrong: Mapping[str, str] = {}) -> Response:
        found = checked(await staff.ask("GET", path(*_HOOKS))).read(Webhooks)
        gone = staff.visit.query.get("gone", "")
        return asking.form(
            staff,
            "desk/webhooks.html",
            fields or {"concert": staff.session.concert_id or "", "sign-v1": "1"},
            wrong,
            hooks=[each for each in found.items if each.status != "deleted"],
            types=await self._types(staff),
            gone=gone,
        )

    @page("POST", AT, "catalogue")
    async def _make(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        signatures = [scheme for scheme in ("v1", "v1a") if f"sign-{scheme}" in fields]
        wanted = {name: value for name, value in _wanted(fields).items() if value is not None}
        body = {**wanted, "url": fields.get("url", ""), **({"signatures": signatures} if signatures else {})}
        wrong = {} if body["url"] else {"url": "needed"}
        wrong |= await asking.no_concert(staff, fields.get("concert", ""))
        if wrong:
            return await self._listed(staff, fields, wrong)
        sent = await asking.send(staff, "POST", path(*_HOOKS), body, at=_at_fields)
        if sent.wrong:
            return await self._listed(staff, fields, sent.wrong)
        return await self._shown(staff, sent.answer.read(Webhook))

    async def _types(self, staff: Staff) -> tuple[EventType, ...]:
        return checked(await staff.ask("GET", path("notifications", "webhook-event-types"))).read(EventTypes).items

    # One

    @page("GET", f"{AT}/{{webhook_id}}", "read")
    async def _show(self, staff: Staff) -> Response:
        return await self._shown(staff, await self._one(staff))

    async def _one(self, staff: Staff) -> Webhook:
        return checked(await staff.ask("GET", path(*_HOOKS, staff.visit.segment))).read(Webhook)

    async def _shown(
        self, staff: Staff, hook: Webhook, fields: Mapping[str, str] | None = None, wrong: Mapping[str, str] = {}
    ) -> Response:
        query = staff.visit.query
        status = query.get("status") if query.get("status") in STATUSES else None
        asked = path(*_DELIVERIES, webhookId=hook.id, status=status, after=query.get("after"), limit=25)
        found = checked(await staff.ask("GET", asked)).read(Deliveries)
        return asking.form(
            staff,
            "desk/webhook.html",
            _fields(hook) if fields is None else fields,
            wrong,
            hook=hook,
            types=await self._types(staff),
            deliveries=found.items,
            statuses=STATUSES,
            overlaps=OVERLAPS,
            status_asked=status or "",
            is_first=query.get("after") is None,
            following=found.next and path(status=status, after=found.next),
            done=query.get("done", ""),
            count=query.get("n", ""),
        )

    @page("POST", f"{AT}/{{webhook_id}}/change", "catalogue")
    async def _change(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        hook = await self._one(staff)
        if "on" in fields:
            body: dict[str, Any] = {"on": fields["on"] == "1"}
        else:
            body = {**_wanted(fields), "url": fields.get("url", "")}
            if not fields.get("email"):
                body.pop("email")
            if "no-email" in fields:
                body["email"] = None
        wrong = await asking.no_concert(staff, fields.get("concert", ""))
        if not wrong:
            sent = await asking.send(staff, "PATCH", path(*_HOOKS, hook.id), body, at=_at_fields)
            wrong = dict(sent.wrong)
        if wrong:
            return await self._shown(staff, hook, {**_fields(hook), **fields}, wrong)
        return self._back(staff, hook.id, "change")

    @page("POST", f"{AT}/{{webhook_id}}/rotate", "catalogue")
    async def _rotate(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        overlap = fields.get("overlap", "")
        body = {"overlapSeconds": int(overlap) if overlap in OVERLAPS else int(OVERLAPS[2])}
        sent = await asking.send(staff, "POST", path(*_HOOKS, staff.visit.segment, "rotate"), body)
        if sent.wrong:
            return await self._shown(staff, await self._one(staff), wrong=sent.wrong)
        return await self._shown(staff, sent.answer.read(Webhook))

    @page("POST", f"{AT}/{{webhook_id}}/ping", "catalogue")
    async def _ping(self, staff: Staff) -> Response:
        forms.read(staff.visit.request)
        sent = await asking.send(staff, "POST", path(*_HOOKS, staff.visit.segment, "ping"))
        if sent.wrong:
            return await self._shown(staff, await self._one(staff), wrong=sent.wrong)
        return self._back(staff, staff.visit.segment, "ping")

    @page("POST", f"{AT}/{{webhook_id}}/resend", "sell")
    async def _resend(self, staff: Staff) -> Response:
        """One delivery that the form names, or as many that failed as the API sends again at once."""
        fields = forms.read(staff.visit.request)
        id, asked = staff.visit.segment, fields.get("delivery")
        body = {"ids": [asked]} if asked else {"webhookId": id}
        sent = await asking.send(staff, "POST", path(*_DELIVERIES, "resend"), body)
        if sent.wrong:
            return await self._shown(staff, await self._one(staff), wrong=sent.wrong)
        resent = sent.answer.read(Resent)
        return self._back(staff, id, "more" if resent.more else "resend", n=len(resent.items))

    def _back(self, staff: Staff, id: str, done: str, **values: Any) -> Response:
        return staff.see(path("staff", "webhooks", id, done=done, **values))

    # Its end

    @page("GET", f"{AT}/{{webhook_id}}/end", "catalogue")
    async def _ask_end(self, staff: Staff) -> Response:
        hook = await self._one(staff)
        rows = (("webhook", hook.url), ("comment", hook.about or "-"))
        return asking.confirm(staff, "end-webhook", {}, rows=rows, back=f"{AT}/{hook.id}")

    @page("POST", f"{AT}/{{webhook_id}}/end", "catalogue")
    async def _end(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        if SURE not in fields:
            return await self._ask_end(staff)
        answer = await staff.ask("DELETE", path(*_HOOKS, staff.visit.segment))
        if answer.status != 404:  # sent twice, it is gone
            checked(answer)
        return staff.see(f"{AT}?gone=1")

    # What it was told

    @page("GET", f"{DELIVERIES}/{{delivery_id}}", "read")
    async def _delivery(self, staff: Staff) -> Response:
        found = checked(await staff.ask("GET", path(*_DELIVERIES, staff.visit.segment))).read(Delivery)
        return staff.shown("desk/webhook-delivery.html", delivery=found, text=_pretty(found.body))


def _wanted(fields: Mapping[str, str]) -> dict[str, Any]:
    """What making and changing have in common."""
    chosen = sorted(name.removeprefix(_EVENT) for name in fields if name.startswith(_EVENT))
    return {
        "eventTypes": chosen,
        "concertId": fields.get("concert") or None,
        "about": fields.get("about") or None,
        "email": fields.get("email") or None,
    }


def _fields(hook: Webhook) -> dict[str, str]:
    """An endpoint as its form shows it."""
    fields = {"url": hook.url, "about": hook.about or "", "concert": hook.concert_id or ""}
    return {**fields, **{f"{_EVENT}{each}": "1" for each in hook.event_types}}


def _at_fields(problem: Problem) -> dict[str, str]:
    names = {"concertId": "concert", "eventTypes": ""}
    found = asking.why(problem)
    return {names.get(each := field.partition("[")[0], each): text for field, text in found.items()}


def _pretty(body: str) -> str:
    try:
        return msgspec.json.format(body.encode(), indent=2).decode()
    except msgspec.MsgspecError:
        return body
