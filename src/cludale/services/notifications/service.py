"""Notifications at work: hears what became of an order and its money, and tells the buyer. Load → decide → commit.

Who left no address is told in the log, and that is one commit. A message is first written down as Pending and due;
then it is sent, and then what came of that is written down. Whoever finds it due sends it, under the same id.
A server that takes nothing is left alone for a while, with all that waits for it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope, Event
from cludale.kernel.refusals import Busy, NotFound
from cludale.kernel.times import rfc3339
from cludale.ports.bus import Answer, Delivery
from cludale.ports.clock import Clock, IdSource
from cludale.ports.contacts import Contact, Contacts, ContactsUnreachable
from cludale.ports.messengers import HandedTo, Mailer, NotSent, TextMessenger, Trouble
from cludale.ports.programme import ConcertDetails, Programme, ProgrammeUnreachable
from cludale.ports.records import Commit, Committed, Handled, Query, Range, Records, StoreUnavailable
from cludale.ports.tracing import TRACEPARENT
from cludale.runtime.aggregates import CONFLICT_RETRIES, Stamp, Step, Versioned, apply_steps
from cludale.runtime.backoff import Backoff
from cludale.runtime.pause import Pause
from cludale.services.notifications import domain, words
from cludale.services.notifications.domain import Limits, Notification, Receipt, Status
from cludale.services.notifications.events import Channel
from cludale.services.notifications.store import NOTIFICATIONS, RECEIPTS
from cludale.services.orders.events import OrderCancelled, OrderPaid
from cludale.services.payments.events import PaymentCompleted

_log = logging.getLogger(__name__)
_SERVICE = "notifications"
_LEASE_EXTRA_SECONDS = 5.0
"""What a try may take beside asking and sending: being scheduled, being written down."""
UNANSWERED = 4
"""How many tries of a message in a row may come to no answer: each of them may have reached the buyer."""
LONGEST_WAIT = 32
"""The attempt after which every wait is the longest."""
IN_A_ROW = 5
"""So many messages that are not taken now, one after another, are trouble with the server."""
PAGES = 20
"""How many pages one search by status looks through at most."""


class Notifications:
    """The notifications service. `concurrency` messages are sent at once; more of them wait, due, in the store."""

    def __init__(
        self,
        records: Records,
        *,
        clock: Clock,
        ids: IdSource,
        contacts: Contacts,
        programme: Programme,
        mailer: Mailer,
        texts: TextMessenger,
        ask_seconds: float,
        send_seconds: float,
        try_seconds: float,
        backoff: Backoff,
        patience: int = 5,
        concurrency: int = 8,
        finish_seconds: float = 5.0,
    ) -> None:
        """`ask_seconds`: for addresses, and for concerts. `send_seconds`: for one message. `try_seconds`: for how
        long a message is tried. `patience`: how many deliveries an order's fact waits for its receipt, below the
        bus's delivery limit. `finish_seconds`: how long a stop waits for what is being sent.
        """
        self._records = records
        self._clock = clock
        self._ids = ids
        self._contacts = contacts
        self._programme = programme
        self._mailer = mailer
        self._texts = texts
        self._ask_seconds = ask_seconds
        self._send_seconds = send_seconds
        lease_seconds = 2 * ask_seconds + 2 * send_seconds + _LEASE_EXTRA_SECONDS  # a text message may follow an e-mail
        self._limits = Limits(try_seconds, UNANSWERED, lease_seconds)
        self._backoff = backoff
        self._patience = patience
        self._concurrency = concurrency
        self._finish_seconds = finish_seconds
        self._stamp = Stamp(_SERVICE, ids)
        self._tasks: set[asyncio.Task[None]] = set()
        self._pause = Pause(backoff)
        self._in_a_row = 0
        self._sweeping = False
        self._stopping = False
        self._more_is_due = False
        self.sending = 0
        """Messages being sent now."""
        self.sent = 0
        """Messages that were handed over."""
        self.failed = 0
        """Messages that were given up."""

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """OrderPaid confirms, OrderCancelled tells why, each once; PaymentCompleted is the receipt that they go by.

        RETRY for one whose receipt has yet to come. One commit call, whatever the batch.
        """
        now = self._clock.now()
        answers = [Answer.SUCCESS] * len(deliveries)
        told: list[Notification] = []
        commits: list[Commit] = []
        came: dict[str, Receipt] = {}
        for delivery in deliveries:
            event = delivery.event
            if HANDLERS[type(event.data)] is _keep_receipt:
                receipt = _keep_receipt(event)
                came[receipt.order_id] = receipt
                commits.append(Commit(RECEIPTS.partition(receipt.order_id), (RECEIPTS.put(receipt, 0),)))
        receipts = await self._receipts(deliveries, came)
        for at, delivery in enumerate(deliveries):
            event = delivery.event
            if HANDLERS[type(event.data)] is _keep_receipt:
                continue
            money = receipts.get(event.data.order_id)
            if money is None and domain.needs_receipt(event.data) and delivery.attempt < self._patience:
                answers[at] = Answer.RETRY
                continue
            decision = _tell(event, money, now)
            notification = decision.state
            told.append(notification)
            put = NOTIFICATIONS.put(notification, 0)
            events = self._stamp.of(decision, Cause.of(event), now)
            commits.append(Commit(notification.id, (put,), events, (Handled(_SERVICE, event.id),)))
        outcomes = await self._records.commit(commits) if commits else ()
        # Handled before, or in the store already: then the buyer has been told or is going to be.
        fresh = [
            each for each, outcome in zip(told, outcomes[-len(told) :], strict=False) if isinstance(outcome, Committed)
        ]
        self._write_to_log([each for each in fresh if each.status is Status.SENT])
        if any(each.status is Status.PENDING for each in fresh):
            self._more_is_due = True
            self._go_on()
        return answers

    async def _receipts(self, deliveries: Sequence[Delivery], came: Mapping[str, Receipt]) -> Mapping[str, Receipt]:
        """The receipts that these go by, as far as they are there."""
        wanted = [
            delivery.event.data.order_id
            for delivery in deliveries
            if HANDLERS[type(delivery.event.data)] is _tell and domain.goes_by_receipt(delivery.event.data)
        ]
        missing = [id for id in dict.fromkeys(wanted) if id not in came]
        if not missing:
            return came
        found = await RECEIPTS.load(self._records, missing)
        return {**came, **{id: each.state for id, each in found.items()}}

    def _write_to_log(self, notifications: Sequence[Notification]) -> None:
        # One log record for all of them: a record costs more than its line.
        if notifications and _log.isEnabledFor(logging.INFO):
            _log.info("%s", "\n".join([words.summary(each) for each in notifications]))

    async def find(self, query: Query, status: Status | None = None) -> tuple[list[Notification], str | None]:
        """A page of notifications and the cursor of the next one. Raises UnusableCursor.

        By `status`, so many pages are looked through at most; then there may be fewer in it, or none, and a next one.
        """
        found: list[Notification] = []
        after, left = query.after, query.limit
        for _ in range(1 if status is None else PAGES):
            here, page = await NOTIFICATIONS.find(self._records, query._replace(after=after, limit=left))
            found += [each.state for each in here if status is None or each.state.status is status]
            after, left = page.next, query.limit - len(found)
            if after is None or left <= 0:
                break
        return found, after

    async def retry(self, ids: Sequence[str]) -> list[Notification]:
        """Send those again that were given up; again changes nothing. Raises NotFound, AlreadySent, Busy."""
        for _ in range(CONFLICT_RETRIES):
            now = self._clock.now()
            found = await NOTIFICATIONS.load(self._records, ids)
            missing = next((id for id in ids if id not in found), None)
            if missing is not None:
                raise NotFound("notification", missing)
            again = {id: domain.retry(each.state, now=now) for id, each in found.items()}
            commits = [
                Commit(id, (NOTIFICATIONS.put(again[id], each.version),))
                for id, each in found.items()
                if again[id] is not each.state
            ]
            outcomes = await self._records.commit(commits) if commits else ()
            if all(isinstance(outcome, Committed) for outcome in outcomes):
                self._more_is_due = True
                self._go_on()
                return [again[id] for id in ids]
        raise Busy("These are being changed by too many at once.")

    async def sweep(self) -> int:
        """Begin to send what is due: what is new, what is tried again, what a crash left. Returns how many."""
        room = self._room()
        if room <= 0 or self._sweeping:
            self._more_is_due = True
            return 0
        self._sweeping = True
        try:
            self._more_is_due = False
            taken, was_full = await self._take_up(room)
            self._more_is_due = self._more_is_due or was_full
        finally:
            self._sweeping = False
        if taken:
            self.sending += len(taken)
            self._keep(asyncio.get_running_loop().create_task(self._send_all(taken)))
        return len(taken)

    def _room(self) -> int:
        if self._stopping:
            return 0
        return self._pause.room(self._clock.now(), self._concurrency) - self.sending

    @property
    def is_paused(self) -> bool:
        """Is the server left alone just now, with all that waits for it?"""
        return self._pause.room(self._clock.now(), self._concurrency) < self._concurrency

    async def _take_up(self, limit: int) -> tuple[list[Versioned[Notification]], bool]:
        """Take up to `limit` due ones, so that no one else does; was there a whole page of them?"""
        now = self._clock.now()
        due = Range("dueAt", until=rfc3339(now + timedelta(microseconds=1)))
        found, _ = await NOTIFICATIONS.find(self._records, Query(within=(due,), order_by="dueAt", limit=limit))
        if not found:
            return [], False
        taken = [Versioned(domain.take_up(each.state, now=now, limits=self._limits), each.version) for each in found]
        outcomes = await self._records.commit(
            [Commit(each.state.id, (NOTIFICATIONS.put(each.state, each.version),)) for each in taken]
        )
        ours = [
            Versioned(each.state, each.version + 1)
            for each, outcome in zip(taken, outcomes, strict=True)
            if isinstance(outcome, Committed)  # else another replica was faster
        ]
        self._tell_of_failures([each.state for each in ours])
        return [each for each in ours if each.state.status is Status.PENDING], len(found) == limit

    def _go_on(self) -> None:
        """Sweep again without waiting for the sweeper, if something is known to be due and half the room is free."""
        enough = self._room() >= (self._concurrency + 1) // 2 or (self.is_paused and self._room() > 0)
        if self._more_is_due and enough and not self._sweeping:
            self._keep(asyncio.get_running_loop().create_task(self._sweep_now()))

    async def _sweep_now(self) -> None:
        try:
            await self.sweep()
        except StoreUnavailable as away:
            _log.warning("what is due waits for the next sweep: %s", away)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # what was not written down is due again when its lease ends
            _log.error("sending stopped: %s", error, exc_info=error)

    @property
    def busy(self) -> bool:
        """Is anything being sent, or looked for to be sent?"""
        return bool(self._tasks)

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches, by metric name."""
        return {
            "cludale_messages_sending": self.sending,
            "cludale_messages_paused": float(self.is_paused),
            "cludale_messages_sent_total": self.sent,
            "cludale_messages_failed_total": self.failed,
        }

    async def stop(self) -> None:
        """Begin nothing, finish what is being sent if that is soon; the rest is left to whoever finds it due."""
        self._stopping = True
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._finish_seconds
        while self._tasks and clock() < deadline:  # one that looked for what is due begins another, which sends it
            await asyncio.wait(list(self._tasks), timeout=deadline - clock())
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_all(self, taken: Sequence[Versioned[Notification]]) -> None:
        """Send each, and write down what came of those that are through together."""
        left = len(taken)
        tries: dict[asyncio.Task[Step[Notification]], Versioned[Notification]] = {}
        try:
            try:
                async with asyncio.timeout(self._ask_seconds):
                    contacts = await self._contacts.of([each.state.order_id for each in taken])
                async with asyncio.timeout(self._ask_seconds):
                    concerts = await self._programme.of(list(dict.fromkeys(each.state.concert_id for each in taken)))
            except (ContactsUnreachable, ProgrammeUnreachable, TimeoutError) as trouble:
                why = f"address and concert could not be asked for: {str(trouble) or 'no answer in time'}"
                await self._settle([(each, self._try_again(each.state, None, why, Trouble.LATER)) for each in taken])
                return
            loop = asyncio.get_running_loop()
            tries = {
                loop.create_task(
                    self._send(each.state, contacts.get(each.state.order_id), concerts.get(each.state.concert_id))
                ): each
                for each in taken
            }
            while tries:
                done, _ = await asyncio.wait(tries, return_when=asyncio.FIRST_COMPLETED)
                await self._settle([(tries.pop(each), each.result()) for each in done])
                left -= len(done)
                self.sending -= len(done)
                self._go_on()
        finally:
            self.sending -= left
            for each in tries:
                each.cancel()

    async def _send(
        self, notification: Notification, contact: Contact | None, concert: ConcertDetails | None
    ) -> Step[Notification]:
        """Send one; returns what came of it. In a task of its own."""
        TRACEPARENT.set(notification.cause.traceparent)
        channel, to = domain.way_to(contact)
        if channel is Channel.LOG:
            self._write_to_log([notification])
            return self._sent(channel)
        try:
            async with asyncio.timeout(self._send_seconds):
                if channel is Channel.EMAIL:
                    handed = await self._mailer.send(words.message(notification, to, concert))
                else:
                    handed = await self._texts.send(words.text_message(notification, to, concert))
        except NotSent as not_sent:
            why = str(not_sent).replace(to, "…")  # servers like to name the address, and none is kept here
            if not_sent.trouble is Trouble.REFUSED:
                return await self._refused(notification, contact, concert, channel, why)
            return self._try_again(notification, channel, why, not_sent.trouble)
        except TimeoutError:
            return self._try_again(notification, channel, "no answer in time", Trouble.UNKNOWN)
        except Exception as error:  # noqa: BLE001 - a message that breaks its messenger must not hold up the others
            _log.error("%s by %s: %r", notification.id, channel, error, exc_info=error)
            return self._try_again(notification, channel, repr(error), Trouble.UNKNOWN)
        self._in_a_row = 0
        self._pause.went_well()
        self.sent += 1
        return self._sent(Channel.LOG if handed is HandedTo.LOG else channel)

    async def _refused(
        self,
        notification: Notification,
        contact: Contact | None,
        concert: ConcertDetails | None,
        channel: Channel,
        why: str,
    ) -> Step[Notification]:
        """For good. A buyer who left a phone, too, gets a text message instead of the e-mail."""
        self._in_a_row = 0  # it was the recipient's; the server takes messages
        self._pause.went_well()
        if channel is Channel.EMAIL and contact is not None and contact.phone is not None:
            _log.warning("%s by %s: %s; by text message instead", notification.id, channel, why)
            return await self._send(notification, Contact(phone=contact.phone), concert)
        return self._try_again(notification, channel, why, Trouble.REFUSED)

    def _sent(self, channel: Channel) -> Step[Notification]:
        now = self._clock.now()
        return lambda n: domain.sent(n, channel, now=now)

    def _try_again(
        self, notification: Notification, channel: Channel | None, why: str, trouble: Trouble
    ) -> Step[Notification]:
        """Later: this one, and all, if the server takes nothing or may have taken more than it said."""
        now = self._clock.now()
        attempts = LONGEST_WAIT if trouble is Trouble.UNKNOWN else notification.attempts
        retry_at = now + timedelta(seconds=self._backoff.seconds(attempts, self._ids.jitter()))
        if channel is not None and trouble is not Trouble.REFUSED:
            self._in_a_row += 1
            if trouble is not Trouble.LATER or self._in_a_row >= IN_A_ROW:
                resumed_at = self._pause.trouble(now, self._ids.jitter())
                if trouble is Trouble.AWAY:
                    retry_at = resumed_at
                _log.warning("messages wait until %s: %s", rfc3339(resumed_at), why)
        return lambda n: domain.not_sent(n, channel, why, trouble, now=now, retry_at=retry_at, limits=self._limits)

    async def _settle(self, steps: Sequence[tuple[Versioned[Notification], Step[Notification]]]) -> None:
        try:
            settled = await apply_steps(
                NOTIFICATIONS,
                self._records,
                steps,
                stamp=self._stamp,
                clock=self._clock,
                cause_of=lambda notification: notification.cause,
            )
        except StoreUnavailable as away:
            _log.warning("what came of %d messages can't be written down, so they go out again: %s", len(steps), away)
            return
        self._tell_of_failures([each.state for each in settled])

    def _tell_of_failures(self, notifications: Sequence[Notification]) -> None:
        for each in notifications:
            if each.status is Status.FAILED:
                self.failed += 1
                _log.error("%s was given up after %d tries: %s", each.id, each.attempts, each.detail)


def _keep_receipt(event: Envelope) -> Receipt:
    return domain.receipt(event.data, at=event.time)


def _tell(event: Envelope, money: Receipt | None, now: datetime) -> Decision[Notification]:
    return domain.tell(event.data, money, cause=Cause.of(event), now=now)


HANDLERS: Mapping[type[Event], Callable[..., Any]] = {
    OrderPaid: _tell,
    OrderCancelled: _tell,
    PaymentCompleted: _keep_receipt,
}
"""What the service hears, and what decides about it."""
