"""Templates of organizers and settings of their mail over HTTP: shapes, routes, refusal → status. Decides nothing."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

import msgspec
from msgspec import Meta

from cludale.kernel.languages import NAMES, LanguageCode
from cludale.kernel.principals import Principal, Scope
from cludale.kernel.refusals import Busy, Invalid, NotFound
from cludale.services.notifications.events import TemplateKind
from cludale.services.notifications.template_service import ShownTemplate, TemplateService
from cludale.services.notifications.templates import MOST_CHARACTERS, BrokenTemplate, Part, TemplateOutdated
from cludale.services.notifications.words import LISTS
from cludale.services.notifications.words import NAMES as VALUES
from cludale.web.problems import Statuses
from cludale.web.responses import Response, json_response
from cludale.web.routing import TRACEPARENT, Owned, Reply, Request, asking, asking_for_all, route

STATUS: Statuses = {TemplateOutdated: 409}

BODY_BYTES = 1_000_000

_Source = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MOST_CHARACTERS,
        pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$(?!\n)",
        description="Jinja2: values, `{% if %}` and `{% for %}`; null or left out: the platform's own",
    ),
]


class TemplateSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A template in force."""

    id: Annotated[str, Meta(description="kind and language: `confirmation.de`")]
    kind: TemplateKind
    language: LanguageCode
    own: Annotated[list[Part], Meta(description="the parts that are the organizer's; the others are the platform's")]
    revision: Annotated[int, Meta(description="counts its changes; 0: none yet")]
    changed_at: datetime | None
    changed_by: Annotated[str | None, Meta(description="the id of the key, or of the session")]

    @classmethod
    def of(cls, shown: ShownTemplate) -> Self:
        """The view of a template."""
        return cls(**_summary(shown))


class TemplateView(TemplateSummary, frozen=True, kw_only=True, rename="camel"):
    """A template in force, with what each part is made from."""

    subject: str
    text: str
    html: str
    values: Annotated[list[str], Meta(description="what can be named in it")]
    lists: Annotated[dict[str, list[str]], Meta(description="those of them that are lists, and what each item has")]

    @classmethod
    def of(cls, shown: ShownTemplate) -> Self:
        """The view of a template."""
        return cls(
            **_summary(shown),
            subject=shown.source(Part.SUBJECT),
            text=shown.source(Part.TEXT),
            html=shown.source(Part.HTML),
            values=sorted(VALUES),
            lists={name: sorted(has) for name, has in LISTS.items()},
        )


class TemplateParts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The organizer's own parts."""

    subject: _Source | None = None
    text: _Source | None = None
    html: _Source | None = None

    @property
    def by_part(self) -> Mapping[Part, str | None]:
        """The source of each."""
        return {Part.SUBJECT: self.subject, Part.TEXT: self.text, Part.HTML: self.html}


class StoreTemplate(TemplateParts, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A template to be."""

    SHOWN_AS: ClassVar = TemplateView

    revision: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="the one that was read: if it was changed since, the answer is 409"),
    ] = None


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """How a message looks, for an order that there is not."""

    subject: str
    text: str
    html: str


class Templates(msgspec.Struct, frozen=True):
    """All of them: each kind in each language."""

    items: list[TemplateSummary]


class MailSettingsView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the organizer's messages are written."""

    language: Annotated[LanguageCode, Meta(description="to buyers of whom it isn't known which they read")]


class TemplatesApi:
    """The routes of templates."""

    def __init__(self, templates: TemplateService) -> None:
        self._templates = templates

    @route(
        "GET",
        "/notifications/templates",
        scope=Scope.READ,
        summary="List the templates of messages",
        description="Each kind of message in each language, with what of it is the organizer's own.",
        replies={200: Reply(Templates)},
    )
    async def list_templates(self, request: Request) -> Response:
        """All of them."""
        found = await self._templates.listed(asking(request).organizer)
        return json_response(Templates([TemplateSummary.of(each) for each in found]))

    @route(
        "GET",
        "/notifications/templates/{template_id}",
        scope=Scope.READ,
        summary="Show a template",
        description="By kind and language: `confirmation.de`. Where a part is not the organizer's own, the platform's.",
        replies={200: Reply(TemplateView)},
        refusals=(NotFound,),
    )
    async def show_template(self, request: Request) -> Response:
        """One, with its source."""
        shown = await self._templates.one(asking(request).organizer, *_named(request.segment))
        return json_response(TemplateView.of(shown))

    @route(
        "POST",
        "/notifications/templates/{template_id}",
        scope=Scope.CATALOGUE,
        owned=Owned.MADE,
        max_body_bytes=BODY_BYTES,
        headers=(TRACEPARENT,),
        summary="Store a template",
        description=(
            "In the place of the organizer's own parts of before. It is tried first with orders of every sort: one "
            "that can't be filled in for each is refused, with the part and the line. It reaches nothing but the "
            "values that `GET` names."
        ),
        replies={200: Reply(TemplateView)},
        refusals=(NotFound, TemplateOutdated, Busy),
    )
    async def store_template(self, request: Request, body: StoreTemplate) -> Response:
        """200 the template. Raises Invalid."""
        principal, which = asking_for_all(request, Scope.CATALOGUE), _named(request.segment)
        if all(source is None for source in body.by_part.values()):
            raise Invalid(("html", "give `subject`, `text` or `html`; to have the platform's again, reset it"))
        return await self._stored(principal, which, body.by_part, body.revision, request)

    @route(
        "POST",
        "/notifications/templates/{template_id}/reset",
        scope=Scope.CATALOGUE,
        owned=Owned.MADE,
        headers=(TRACEPARENT,),
        summary="Have the platform's template again",
        description="What the organizer wrote is dropped. Again, it changes nothing.",
        replies={200: Reply(TemplateView)},
        refusals=(NotFound, Busy),
    )
    async def reset_template(self, request: Request) -> Response:
        """200 the template."""
        principal, which = asking_for_all(request, Scope.CATALOGUE), _named(request.segment)
        return await self._stored(principal, which, {}, None, request)

    @route(
        "POST",
        "/notifications/templates/{template_id}/preview",
        scope=Scope.READ,
        max_body_bytes=BODY_BYTES,
        summary="See a message",
        description=(
            "With the parts that are given, and for the others with what is in force; filled in for an order that "
            "there is not. Nothing is stored, and nothing is sent. Refused as storing it would be."
        ),
        replies={200: Reply(Preview)},
        refusals=(NotFound,),
    )
    async def preview_template(self, request: Request, body: TemplateParts) -> Response:
        """200 the three parts. Raises Invalid."""
        which = _named(request.segment)
        try:
            letter = await self._templates.preview(asking(request).organizer, *which, body.by_part)
        except BrokenTemplate as broken:
            raise _invalid(broken) from broken
        return json_response(Preview(subject=letter.subject, text=letter.text, html=letter.html))

    @route(
        "GET",
        "/notifications/settings",
        scope=Scope.READ,
        summary="Show how messages are written",
        replies={200: Reply(MailSettingsView)},
    )
    async def show_settings(self, request: Request) -> Response:
        """200 the settings."""
        return json_response(
            MailSettingsView(language=LanguageCode(await self._templates.language(asking(request).organizer)))
        )

    @route(
        "POST",
        "/notifications/settings",
        scope=Scope.CATALOGUE,
        owned=Owned.MADE,
        summary="Say how messages are written",
        replies={200: Reply(MailSettingsView)},
        refusals=(Busy,),
    )
    async def change_settings(self, request: Request, body: MailSettingsView) -> Response:
        """200 the settings."""
        await self._templates.speak(asking_for_all(request, Scope.CATALOGUE), body.language.value)
        return json_response(body)

    async def _stored(
        self,
        principal: Principal,
        which: tuple[TemplateKind, str],
        parts: Mapping[Part, str | None],
        revision: int | None,
        request: Request,
    ) -> Response:
        try:
            shown = await self._templates.store(principal, *which, parts, revision=revision, cause=request.cause)
        except BrokenTemplate as broken:
            raise _invalid(broken) from broken
        return json_response(TemplateView.of(shown))


def _summary(shown: ShownTemplate) -> dict[str, Any]:
    own = shown.own
    return {
        "id": f"{shown.kind}.{shown.language}",
        "kind": shown.kind,
        "language": LanguageCode(shown.language),
        "own": [part for part in Part if shown.is_own(part)],
        "revision": shown.revision,
        "changed_at": None if own is None else own.changed_at,
        "changed_by": None if own is None else own.changed_by,
    }


def _named(id: str) -> tuple[TemplateKind, str]:
    """Kind and language. Raises NotFound."""
    kind, _, language = id.partition(".")
    if kind not in set(TemplateKind) or language not in NAMES:
        raise NotFound("template", id)
    return TemplateKind(kind), language


def _invalid(broken: BrokenTemplate) -> Invalid:
    return Invalid(*((each.part.value, str(each)) for each in broken.faults[:20]))
