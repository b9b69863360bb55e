"""Templates and settings of organizers at work: shown, tried, stored, reset."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.languages import NAMES
from cludale.kernel.principals import Principal
from cludale.kernel.refusals import Busy
from cludale.runtime.aggregates import Change, ChangeResult, Updates
from cludale.services.notifications import templates
from cludale.services.notifications.domain import MailSettings
from cludale.services.notifications.events import TemplateKind
from cludale.services.notifications.letters import Letter, Letters, source
from cludale.services.notifications.store import MAIL_SETTINGS, TEMPLATES
from cludale.services.notifications.templates import Part, Template, template_id


class ShownTemplate(NamedTuple):
    """A template as it is in force: the organizer's where there is one, else the platform's."""

    kind: TemplateKind
    language: str
    own: Template | None

    @property
    def revision(self) -> int:
        """How often it was changed."""
        return 0 if self.own is None else self.own.revision

    def is_own(self, part: Part) -> bool:
        """Is this part the organizer's?"""
        return self.own is not None and self.own.source(part) is not None

    def source(self, part: Part) -> str:
        """What it is made from."""
        own = None if self.own is None else self.own.source(part)
        return source(part) if own is None else own


class TemplateService:
    """What organizers say in words of their own."""

    def __init__(self, updates: Updates, letters: Letters) -> None:
        self._updates = updates
        self.letters = letters

    async def listed(self, organizer: str) -> list[ShownTemplate]:
        """All kinds in all languages."""
        wanted = [(kind, language) for kind in TemplateKind for language in NAMES]
        ids = {template_id(organizer, *each): each for each in wanted}
        found = await TEMPLATES.load(self._updates.records, list(ids))
        return [ShownTemplate(*each, found[id].state if id in found else None) for id, each in ids.items()]

    async def one(self, organizer: str, kind: TemplateKind, language: str) -> ShownTemplate:
        """One of them."""
        id = template_id(organizer, kind, language)
        found = await TEMPLATES.load(self._updates.records, (id,))
        return ShownTemplate(kind, language, found[id].state if id in found else None)

    async def store(
        self,
        by: Principal,
        kind: TemplateKind,
        language: str,
        parts: Mapping[Part, str | None],
        *,
        revision: int | None,
        cause: Cause,
    ) -> ShownTemplate:
        """Keep these parts, if all messages of this kind can be made with them; all None resets it.

        Raises BrokenTemplate, TemplateOutdated, Busy.
        """
        self.letters.check(kind, parts, language=language)
        of = (by.organizer, kind, language)

        def decide(known: Template | None, now: datetime) -> Decision[Template] | None:
            decision = templates.store(known, parts, of=of, by=by, now=now, revision=revision)
            return decision if decision.events else None

        ((result, kept),) = await self._updates.update([Change(TEMPLATES, template_id(*of), decide, cause)])
        if result is ChangeResult.CONFLICT:
            raise Busy("This template is being changed by too many requests at once.")
        return ShownTemplate(kind, language, None if kept is None else kept.state)

    async def preview(
        self, organizer: str, kind: TemplateKind, language: str, parts: Mapping[Part, str | None]
    ) -> Letter:
        """How a message would look with these parts, and for those that are None with what is in force.

        Raises BrokenTemplate.
        """
        known = await self.one(organizer, kind, language)
        given = {part: parts.get(part) for part in Part}
        self.letters.check(kind, given, language=language)
        whole = {part: known.source(part) if given[part] is None else given[part] for part in Part}
        return self.letters.preview(kind, whole, language=language)

    async def language(self, organizer: str) -> str:
        """The language of messages to buyers whose own is not known."""
        found = await MAIL_SETTINGS.load(self._updates.records, (organizer,))
        return found[organizer].state.language if organizer in found else self.letters.language

    async def speak(self, by: Principal, language: str) -> None:
        """Write in this language to them from now on. Raises Busy."""

        def decide(known: MailSettings | None, now: datetime) -> Decision[MailSettings] | None:
            if known is not None and known.language == language:
                return None
            return Decision(MailSettings(organizer=by.organizer, language=language, changed_at=now, changed_by=by.id))

        ((result, _),) = await self._updates.update([Change(MAIL_SETTINGS, by.organizer, decide)])
        if result is ChangeResult.CONFLICT:
            raise Busy("These settings are being changed by too many requests at once.")
