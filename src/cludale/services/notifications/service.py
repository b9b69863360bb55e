"""Notifications at work: hears what became of an order, and tells the buyer. Load → decide → commit.

Who left no address is told in the log, and that is one commit. A message is first written down as Pending and due;
then it is sent, and then what came of that is written down. Whoever finds it due sends it, under the same id.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

from cludale.kernel.events import Cause
from cludale.kernel.times import rfc3339
from cludale.ports.bus import Answer, Delivery
from cludale.ports.clock import Clock, IdSource
from cludale.ports.contacts import Contact, Contacts, ContactsUnreachable
from cludale.ports.messengers import Mailer, NotSent, TextMessenger
from cludale.ports.records import Commit, Committed, Handled, Query, Range, Records, StoreUnavailable
from cludale.ports.tracing import TRACEPARENT
from cludale.runtime.aggregates import Stamp, Step, Versioned, apply_steps
from cludale.runtime.backoff import Backoff
from cludale.services.notifications import domain
from cludale.services.notifications.domain import Limits, Notification, Status
from cludale.services.notifications.events import Channel
from cludale.services.notifications.store import NOTIFICATIONS

_log = logging.getLogger(__name__)
_SERVICE = "notifications"
_LEASE_EXTRA_SECONDS = 5.0
"""What a try may take beside asking for the address and sending twice: being scheduled, being written down."""


class Notifications:
    """The notifications service. `concurrency` messages are sent at once; more of them wait, due, in the store."""

    def __init__(
        self,
        records: Records,
        *,
        clock: Clock,
        ids: IdSource,
        contacts: Contacts,
        mailer: Mailer,
        texts: TextMessenger,
        send_seconds: float,
        attempts: int,
        backoff: Backoff,
        concurrency: int = 32,
    ) -> None:
        self._records = records
        self._clock = clock
        self._ids = ids
        self._contacts = contacts
        self._mailer = mailer
        self._texts = texts
        self._send_seconds = send_seconds
        self._limits = Limits(attempts, lease_seconds=3 * send_seconds + _LEASE_EXTRA_SECONDS)
        self._backoff = backoff
        self._concurrency = concurrency
        self._stamp = Stamp(_SERVICE, ids)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeping = False
        self._more_is_due = False
        self.sending = 0
        """Messages being sent now."""

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """OrderPaid confirms, OrderCancelled tells why; each once. One commit call, whatever the batch."""
        now = self._clock.now()
        told: list[Notification] = []
        commits: list[Commit] = []
        for delivery in deliveries:
            event = delivery.event
            cause = Cause.of(event)
            decision = domain.tell(event.data, cause=cause, now=now)
            notification = decision.state
            told.append(notification)
            put = NOTIFICATIONS.put(notification, 0)
            events = self._stamp.all(decision.events, cause, now)
            commits.append(Commit(notification.id, (put,), events, (Handled(_SERVICE, event.id),)))
        outcomes = await self._records.commit(commits)
        # Handled before, or in the store already: then the buyer has been told or is going to be.
        fresh = [each for each, outcome in zip(told, outcomes, strict=True) if isinstance(outcome, Committed)]
        self._write_to_log([each for each in fresh if each.status is Status.SENT])
        if any(each.status is Status.PENDING for each in fresh):
            self._more_is_due = True
            self._go_on()
        return [Answer.SUCCESS] * len(deliveries)

    def _write_to_log(self, notifications: Sequence[Notification]) -> None:
        # One log record for all of them: a record costs more than its line.
        if notifications and _log.isEnabledFor(logging.INFO):
            _log.info("%s", "\n".join([domain.summary(each) for each in notifications]))

    async def find(self, query: Query) -> tuple[list[Notification], str | None]:
        """A page of notifications and the cursor of the next one. Raises UnusableCursor."""
        found, page = await NOTIFICATIONS.find(self._records, query)
        return [each.state for each in found], page.next

    async def sweep(self) -> int:
        """Begin to send what is due: what is new, what is tried again, what a crash left. Returns how many."""
        room = self._concurrency - self.sending
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
        if self._more_is_due and self.sending <= self._concurrency // 2 and not self._sweeping:
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

    async def stop(self) -> None:
        """Leave what is under way to whoever finds it due."""
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
                async with asyncio.timeout(self._send_seconds):
                    contacts = await self._contacts.of([each.state.order_id for each in taken])
            except (ContactsUnreachable, TimeoutError) as trouble:
                why = f"no address could be asked for: {trouble}"
                await self._settle([(each, self._try_again(each.state, None, why)) for each in taken])
                return
            loop = asyncio.get_running_loop()
            tries = {
                loop.create_task(self._send(each.state, contacts.get(each.state.order_id))): each for each in taken
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

    async def _send(self, notification: Notification, contact: Contact | None) -> Step[Notification]:
        """Send one; returns what came of it. In a task of its own."""
        TRACEPARENT.set(notification.cause.traceparent)
        channel, to = domain.way_to(contact)
        if channel is Channel.LOG:
            self._write_to_log([notification])
            return self._sent(channel)
        messenger = self._mailer if channel is Channel.EMAIL else self._texts
        try:
            async with asyncio.timeout(self._send_seconds):
                await messenger.send(domain.message(notification, to))
        except NotSent as not_sent:
            why = str(not_sent)
            if not_sent.permanent:
                return await self._refused(notification, contact, channel, why)
            return self._try_again(notification, channel, why)
        except TimeoutError:
            return self._try_again(notification, channel, "no answer in time")
        except Exception as error:  # noqa: BLE001 - a message that breaks its messenger must not hold up the others
            _log.error("%s by %s: %r", notification.id, channel, error, exc_info=error)
            return self._try_again(notification, channel, repr(error))
        return self._sent(channel)

    async def _refused(
        self, notification: Notification, contact: Contact | None, channel: Channel, why: str
    ) -> Step[Notification]:
        """For good. A buyer who left a phone, too, gets a text message instead of the e-mail."""
        if channel is Channel.EMAIL and contact is not None and contact.phone is not None:
            _log.warning("%s by %s: %s; by text message instead", notification.id, channel, why)
            return await self._send(notification, Contact(phone=contact.phone))
        return lambda n: domain.not_sent(n, channel, why, retry_at=None, limits=self._limits)

    def _sent(self, channel: Channel) -> Step[Notification]:
        now = self._clock.now()
        return lambda n: domain.sent(n, channel, now=now)

    def _try_again(self, notification: Notification, channel: Channel | None, why: str) -> Step[Notification]:
        wait = self._backoff.seconds(notification.attempts, self._ids.jitter())
        retry_at = self._clock.now() + timedelta(seconds=wait)
        return lambda n: domain.not_sent(n, channel, why, retry_at=retry_at, limits=self._limits)

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
                _log.error("%s was given up after %d tries: %s", each.id, each.attempts, each.detail)
