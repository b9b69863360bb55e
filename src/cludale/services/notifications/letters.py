"""Messages, made: the platform's words or the organizer's, in the buyer's language, with the calendar's entry."""

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email.utils import parseaddr
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cludale.kernel.languages import DEFAULT
from cludale.ports.contacts import Contact
from cludale.ports.messengers import Attachment, Message
from cludale.ports.programme import ConcertDetails
from cludale.services.notifications import samples, templates, words
from cludale.services.notifications.calendar import calendar
from cludale.services.notifications.domain import Notification
from cludale.services.notifications.events import NotificationKind, TemplateKind
from cludale.services.notifications.templates import BrokenTemplate, Part, Template
from cludale.services.notifications.words import Speech, Values

FOLDER = Path(__file__).parent / "mail"
LOCALE = FOLDER / "locale"
REMEMBERED = 1_000
"""Amounts and times of each sort in each language."""

_log = logging.getLogger(__name__)


class Letter(NamedTuple):
    """What a message says, in its three forms."""

    subject: str
    text: str
    html: str


class Letters:
    """Makes messages."""

    def __init__(
        self, *, sender: str, link: Callable[[str], str | None] = lambda _: None, language: str = DEFAULT
    ) -> None:
        """`sender`: an address, with a name before it or without. `link`: an order's id → its page, with its token.
        `language`: to buyers of whom neither theirs nor their organizer's is known.
        """
        self.language = language
        name, self._address = parseaddr(sender)
        self._sender = name or "Cludale Tickets"
        self._link = link
        self.unusable = 0
        """Messages for which the organizer's template could not be filled in."""

    def email(
        self,
        n: Notification,
        contact: Contact,
        concert: ConcertDetails | None,
        own: Template | None,
        *,
        language: str,
        concerts: Mapping[str, ConcertDetails] | None = None,
    ) -> Message:
        """The e-mail; it has the same id and words each time it is sent. Without `concert`, it names the concert's id.

        Where the organizer's template can't be filled in all the same, the platform's is, and the log says so.
        `concerts`: of the lines of a cart.
        """
        link, speech = self._link(n.named) or "", spoken(language)
        values = words.values(
            n, contact, concert, speech, language=language, sender=self._sender, link=link, concerts=concerts
        )
        try:
            letter = letter_of(values, own)
        except BrokenTemplate as broken:
            self.unusable += 1
            _log.error("template %s can't be used: %s", None if own is None else own.id, broken)
            letter = letter_of(values, None)
        about = {n.concert_id: concert, **(concerts or {})}
        entries = [
            entry
            for each in n.each_order
            if n.kind is not NotificationKind.OFFER
            and (of := about.get(each.concert_id)) is not None
            and (
                entry := calendar(
                    each, of, organizer=self._address, said=words.order_and_tickets(each, speech), link=link
                )
            )
            is not None
        ]
        attachments = tuple(
            Attachment(
                f"concert-{number}.ics" if number > 1 else "concert.ics",
                "text",
                "calendar",
                entry.content,
                {"method": entry.method, "charset": "utf-8"},
            )
            for number, entry in enumerate(entries, 1)
        )
        return Message(
            n.id,
            contact.email or "",
            letter.subject,
            letter.text,
            letter.html,
            attachments,
            language=language,
            secrets=tuple(filter(None, (link, words.plain_line(contact.name or "")))),
        )

    def text(self, n: Notification, contact: Contact, concert: ConcertDetails | None, *, language: str) -> Message:
        """The text message: short, and always in the platform's words."""
        speech = spoken(language)
        values = words.values(n, contact, concert, speech, language=language, sender=self._sender, link="")
        return Message(n.id, contact.phone or "", values["subject"], words.text_message(n, concert, speech))

    def preview(self, kind: TemplateKind, own: Mapping[Part, str | None], *, language: str) -> Letter:
        """How a message would look, for an order that there is not. Raises BrokenTemplate."""
        return _letter(self.sample(kind, language), own)

    def check(self, kind: TemplateKind, own: Mapping[Part, str | None], *, language: str) -> None:
        """Could every message of this kind be made with these parts? Raises BrokenTemplate."""
        templates.check(own, lambda: self._samples(kind, language))

    def sample(self, kind: TemplateKind, language: str) -> Values:
        """The values of one message of this kind."""
        return next(self._samples(kind, language))

    def _samples(self, kind: TemplateKind, language: str) -> Iterator[Values]:
        for each in samples.of(kind):
            link = f"https://tickets.example.com/shop/orders/{each.notification.order_id}?key=…" if each.concert else ""
            yield words.values(
                each.notification,
                each.contact,
                each.concert,
                spoken(language),
                language=language,
                sender=self._sender,
                link=link,
            )


def kind_of(n: Notification) -> TemplateKind:
    """Whose template it is made with."""
    return TemplateKind.CONFIRMATION if n.kind is NotificationKind.COPY else TemplateKind(n.kind.value)


def letter_of(values: Values, own: Template | None) -> Letter:
    """The three parts; those that are not the organizer's are the platform's. Raises BrokenTemplate."""
    return _letter(values, {} if own is None else {part: own.source(part) for part in Part})


def _letter(values: Values, own: Mapping[Part, str | None]) -> Letter:
    made = [templates.render(part, own.get(part) or source(part), values) for part in Part]
    return Letter(*made)


@lru_cache
def source(part: Part) -> str:
    """The platform's own template: one for all kinds and languages, for its words are values."""
    if part is Part.SUBJECT:
        return "{{ subject }}"
    return (FOLDER / f"letter.{'html' if part is Part.HTML else 'txt'}").read_text("utf-8")


@lru_cache
def spoken(code: str) -> Speech:
    """A language of `kernel.languages.NAMES`, loaded when it is first used. Raises KeyError."""
    from cludale.runtime.languages import Language  # noqa: PLC0415 - Babel takes long to load; most processes send no mail

    language = Language(code, LOCALE)
    said = language.words

    moment = lru_cache(REMEMBERED)(language.moment)

    class Spoken:
        """The catalogue's words, and Babel's numbers and times, remembered: many messages are about one concert."""

        gettext = staticmethod(said.gettext)
        ngettext = staticmethod(said.ngettext)
        money = staticmethod(lru_cache(REMEMBERED)(language.money))
        day = staticmethod(lru_cache(REMEMBERED)(language.day))
        hour = staticmethod(lru_cache(REMEMBERED)(language.hour))
        zone = staticmethod(lru_cache(REMEMBERED)(language.zone))

        @staticmethod
        def when(at: datetime, zone: ZoneInfo | None) -> str:
            """A time without its seconds, so that all orders of a minute have one in common."""
            return moment(at.replace(second=0, microsecond=0), zone)

    return Spoken()
