"""What is due for a notification: to send it, by e-mail, as a text message, or to the log.

A message is first written down as Pending and due; then it is sent, and then what came of that is written down. Whoever
finds it due sends it, under the same id. A server that takes nothing is left alone for a while, with all that waits.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from cludale.kernel.decision import Decision
from cludale.kernel.times import rfc3339
from cludale.ports.clock import Clock
from cludale.ports.contacts import Contact, Contacts, ContactsUnreachable
from cludale.ports.messengers import HandedTo, Mailer, NotSent, TextMessenger, Trouble
from cludale.ports.programme import ConcertDetails, Programme, ProgrammeUnreachable
from cludale.ports.tracing import TRACEPARENT
from cludale.runtime.due import Do, DuePolicy, PutOff, Step
from cludale.runtime.pause import Pause
from cludale.services.notifications import domain, words
from cludale.services.notifications.domain import Notification, RetryLimits, Status
from cludale.services.notifications.events import Channel
from cludale.services.notifications.stationery import Stationery, Written

LONGEST_WAIT = 32
"""The attempt after which every wait is the longest."""
IN_A_ROW = 5
"""After so many messages in a row that the server does not take, it is left alone for a while."""
UNANSWERED = 4
"""How many tries of a message in a row may come to no answer: each of them may have reached the buyer."""
_LEASE_EXTRA_SECONDS = 5.0
"""What a try may take beside asking and sending: being scheduled, being written down."""

_log = logging.getLogger(__name__)


class SendingLimits(NamedTuple):
    """How many messages are sent at once, and how long everything about one may take."""

    ask_seconds: float
    """For addresses, and for concerts."""
    send_seconds: float
    """For one message."""
    try_seconds: float
    """For how long it is tried."""
    at_once: int = 8
    """More of them wait, due, in the store."""

    @property
    def attempt_seconds(self) -> float:
        """For one try: a text message may follow an e-mail."""
        return 2 * self.ask_seconds + 2 * self.send_seconds


class Sending(DuePolicy[Notification]):
    """Sends what is due, and counts it."""

    def __init__(
        self,
        *,
        contacts: Contacts,
        programme: Programme,
        mailer: Mailer,
        texts: TextMessenger,
        stationery: Stationery,
        clock: Clock,
        limits: SendingLimits,
        put_off: PutOff,
    ) -> None:
        self._contacts = contacts
        self._programme = programme
        self._mailer = mailer
        self._texts = texts
        self._stationery = stationery
        self._clock = clock
        self._limits = limits
        self._retries = RetryLimits(limits.try_seconds, UNANSWERED, limits.attempt_seconds + _LEASE_EXTRA_SECONDS)
        self._put_off = put_off
        self._pause = Pause(put_off.backoff)
        self._in_a_row = 0
        self.sent = 0
        """Messages that were handed over."""
        self.failed = 0
        """Messages that were given up."""

    def at_once(self, limit: int) -> int:
        """None while the server is left alone, then one, to see."""
        return self._pause.room(self._clock.now(), limit)

    def take_up(self, state: Notification, now: datetime) -> Decision[Notification]:
        """The try is counted before it is made."""
        return Decision(domain.take_up(state, now=now, limits=self._retries))

    async def start(self, states: Sequence[Notification]) -> Do[Notification]:
        """The addresses and the concerts of all of them are asked for at once."""
        try:
            async with asyncio.timeout(self._limits.ask_seconds):
                contacts = await self._contacts.of([each.order_id for each in states])
            async with asyncio.timeout(self._limits.ask_seconds):
                about = dict.fromkeys(one.concert_id for each in states for one in each.each_order)
                concerts = await self._programme.of(list(about))
            written = await self._stationery.of(states, contacts, concerts)
        except (ContactsUnreachable, ProgrammeUnreachable, TimeoutError) as trouble:
            why = f"address and concert could not be asked for: {str(trouble) or 'no answer in time'}"

            async def later(notification: Notification) -> Step[Notification]:
                return self.try_again(notification, None, why, Trouble.LATER)

            return later

        async def do(notification: Notification) -> Step[Notification]:
            contact = contacts.get(notification.order_id)
            return await self.send(notification, contact, concerts.get(notification.concert_id), written)

        return do

    def no_answer(self, state: Notification, why: str) -> Step[Notification]:
        """It may have been sent."""
        return self.try_again(state, None, why, Trouble.UNKNOWN)

    def settled(self, states: Sequence[Notification]) -> None:
        """What was given up is counted, and somebody told."""
        for each in states:
            if each.status is Status.FAILED:
                self.failed += 1
                _log.error("%s was given up after %d tries: %s", each.id, each.attempts, each.detail)

    async def send(
        self, notification: Notification, contact: Contact | None, concert: ConcertDetails | None, written: Written
    ) -> Step[Notification]:
        """Send one; returns what came of it. In a task of its own."""
        TRACEPARENT.set(notification.cause.traceparent)
        channel, to = domain.way_to(contact)
        if channel is Channel.LOG or contact is None:
            write_to_log([notification])
            return self._sent(Channel.LOG)
        try:
            async with asyncio.timeout(self._limits.send_seconds):
                if channel is Channel.EMAIL:
                    handed = await self._mailer.send(written.email(notification, contact, concert))
                else:
                    handed = await self._texts.send(written.text(notification, contact, concert))
        except NotSent as not_sent:
            why = str(not_sent).replace(to, "…")  # servers like to name the address, and none is kept here
            if not_sent.trouble is Trouble.REFUSED:
                return await self._refused(notification, contact, concert, written, channel, why)
            return self.try_again(notification, channel, why, not_sent.trouble)
        except TimeoutError:
            return self.try_again(notification, channel, "no answer in time", Trouble.UNKNOWN)
        except Exception as error:  # noqa: BLE001 - a message that breaks its messenger must not hold up the others
            _log.error("%s by %s: %r", notification.id, channel, error, exc_info=error)
            return self.try_again(notification, channel, repr(error), Trouble.UNKNOWN)
        self._in_a_row = 0
        self._pause.went_well()
        self.sent += 1
        return self._sent(Channel.LOG if handed is HandedTo.LOG else channel)

    async def _refused(
        self,
        notification: Notification,
        contact: Contact,
        concert: ConcertDetails | None,
        written: Written,
        channel: Channel,
        why: str,
    ) -> Step[Notification]:
        """For good. A buyer who left a phone, too, gets a text message instead of the e-mail."""
        self._in_a_row = 0  # it was the recipient's; the server takes messages
        self._pause.went_well()
        if channel is Channel.EMAIL and contact.phone is not None:
            _log.warning("%s by %s: %s; by text message instead", notification.id, channel, why)
            by_phone = Contact(phone=contact.phone, name=contact.name, language=contact.language)
            return await self.send(notification, by_phone, concert, written)
        return self.try_again(notification, channel, why, Trouble.REFUSED)

    def _sent(self, channel: Channel) -> Step[Notification]:
        now = self._clock.now()
        return lambda n, _: domain.sent(n, channel, now=now)

    def try_again(
        self, notification: Notification, channel: Channel | None, why: str, trouble: Trouble
    ) -> Step[Notification]:
        """Later: this one, and all, if the server takes nothing or may have taken more than it said."""
        now = self._clock.now()
        attempts = LONGEST_WAIT if trouble is Trouble.UNKNOWN else notification.attempts
        retry_at = self._put_off(attempts, now)
        if channel is not None and trouble is not Trouble.REFUSED:
            self._in_a_row += 1
            if trouble is not Trouble.LATER or self._in_a_row >= IN_A_ROW:
                resumed_at = self._pause.trouble(now, self._put_off.ids.jitter())
                if trouble is Trouble.AWAY:
                    retry_at = resumed_at
                _log.warning("messages wait until %s: %s", rfc3339(resumed_at), why)
        return lambda n, _: domain.not_sent(n, channel, why, trouble, now=now, retry_at=retry_at, limits=self._retries)


def write_to_log(notifications: Sequence[Notification]) -> None:
    """Tell these in the log: one record for all of them, for a record costs more than its line."""
    if notifications and _log.isEnabledFor(logging.INFO):
        _log.info("%s", "\n".join([words.summary(each) for each in notifications]))
