"""What messages are written on: for each of a batch the language, and the organizer's template if there is one."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cludale.kernel.languages import NAMES
from cludale.kernel.principals import DEFAULT_ORGANIZER
from cludale.ports.contacts import Contact
from cludale.ports.messengers import Message
from cludale.ports.programme import ConcertDetails
from cludale.ports.records import Records
from cludale.services.notifications.domain import MailSettings, Notification
from cludale.services.notifications.letters import Letters, kind_of
from cludale.services.notifications.store import MAIL_SETTINGS, TEMPLATES
from cludale.services.notifications.templates import Template, template_id


class Written(NamedTuple):
    """What a batch is written with."""

    letters: Letters
    settings: Mapping[str, MailSettings]
    """By organizer."""
    templates: Mapping[str, Template]
    """By id."""
    concerts: Mapping[str, ConcertDetails] = {}

    def email(self, n: Notification, contact: Contact, concert: ConcertDetails | None) -> Message:
        """The e-mail."""
        language = self.language(contact, concert)
        own = self.templates.get(_template_of(n, concert, language))
        return self.letters.email(n, contact, concert, own, language=language, concerts=self.concerts)

    def text(self, n: Notification, contact: Contact, concert: ConcertDetails | None) -> Message:
        """The text message."""
        return self.letters.text(n, contact, concert, language=self.language(contact, concert))

    def language(self, contact: Contact, concert: ConcertDetails | None) -> str:
        """The buyer's, else the organizer's, else the platform's."""
        if contact.language in NAMES:
            return contact.language or self.letters.language
        settings = self.settings.get(_organizer(concert))
        return self.letters.language if settings is None else settings.language


class Stationery:
    """Finds templates and languages for a batch of messages: two look-ups, none for messages that nobody gets."""

    def __init__(self, records: Records, letters: Letters) -> None:
        self._records = records
        self._letters = letters

    async def of(
        self,
        notifications: Sequence[Notification],
        contacts: Mapping[str, Contact],
        concerts: Mapping[str, ConcertDetails],
    ) -> Written:
        """What these messages are written with."""
        known = [(n, contacts[n.order_id], concerts.get(n.concert_id)) for n in notifications if n.order_id in contacts]
        told = [each for each in known if each[1].email is not None or each[1].phone is not None]
        if not told:
            return Written(self._letters, {}, {})
        unsaid = {_organizer(concert) for _, contact, concert in told if contact.language not in NAMES}
        found = await MAIL_SETTINGS.load(self._records, sorted(unsaid)) if unsaid else {}
        settings = {id: each.state for id, each in found.items()}
        written = Written(self._letters, settings, {})
        ids = {
            _template_of(n, concert, written.language(contact, concert))
            for n, contact, concert in told
            if contact.email is not None
        }
        templates = await TEMPLATES.load(self._records, sorted(ids)) if ids else {}
        return written._replace(
            concerts=concerts, templates={id: each.state for id, each in templates.items() if each.state.is_own}
        )


def _organizer(concert: ConcertDetails | None) -> str:
    return DEFAULT_ORGANIZER if concert is None else concert.organizer


def _template_of(n: Notification, concert: ConcertDetails | None, language: str) -> str:
    return template_id(_organizer(concert), kind_of(n), language)
