"""Notifications at work: hears what became of an order and its money, and tells the buyer.

Who left no address is told in the log, and that is one commit. What is to be sent is in due.py.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from cludale.kernel.backoff import Backoff
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope, Event
from cludale.kernel.refusals import Busy, NotFound
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.clock import Clock, IdSource
from cludale.ports.contacts import Contacts
from cludale.ports.messengers import Mailer, TextMessenger
from cludale.ports.programme import Programme
from cludale.ports.records import Query, Records
from cludale.runtime.aggregates import NEW, Change, ChangeResult, Updates, changed
from cludale.runtime.due import DueWork, PutOff
from cludale.services.concerts.events import SeatsOffered
from cludale.services.notifications import domain
from cludale.services.notifications.domain import Notification, Receipt, Status
from cludale.services.notifications.due import Sending, SendingLimits, write_to_log
from cludale.services.notifications.letters import Letters
from cludale.services.notifications.stationery import Stationery
from cludale.services.notifications.store import NOTIFICATIONS, RECEIPTS
from cludale.services.notifications.template_service import TemplateService
from cludale.services.orders.events import (
    CartPaid,
    ConfirmationRequested,
    OrderCancelled,
    OrderMoved,
    OrderPaid,
    OrderReseated,
)
from cludale.services.payments.events import PartRefunded, PaymentCompleted

_log = logging.getLogger(__name__)

_SERVICE = "notifications"
PAGES = 20
"""How many pages one search by status looks through at most."""


class Notifications:
    """The notifications service."""

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
        letters: Letters,
        limits: SendingLimits,
        backoff: Backoff,
        patience: int = 5,
        finish_seconds: float = 5.0,
        takes_work: Callable[[], bool] = lambda: True,
    ) -> None:
        """`patience`: how many deliveries an order's fact waits for its receipt, below the bus's delivery limit.
        `finish_seconds`: how long a stop waits for what is being sent.
        """
        self._updates = Updates(_SERVICE, records, clock=clock, ids=ids)
        self.templates = TemplateService(self._updates, letters)
        """What organizers say in words of their own."""
        self.bounced = 0
        """Messages that came back."""
        self.sending = Sending(
            contacts=contacts,
            programme=programme,
            mailer=mailer,
            texts=texts,
            stationery=Stationery(records, letters),
            clock=clock,
            limits=limits,
            put_off=PutOff(backoff, ids),
        )
        self.due = DueWork(
            self._updates,
            NOTIFICATIONS,
            self.sending,
            at_once=limits.at_once,
            attempt_seconds=limits.attempt_seconds + 1,
            finish_seconds=finish_seconds,
            takes_work=takes_work,
        )
        """Messages that are to be sent."""
        self._patience = patience
        self._at_once = limits.at_once

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Acknowledgement]:
        """OrderPaid confirms, OrderCancelled tells why, PartRefunded what went back, each once; ConfirmationRequested
        confirms once more; PaymentCompleted is the receipt that they go by.

        RETRY for one whose receipt has yet to come. One commit call, whatever the batch.
        """
        answers = [Acknowledgement.SUCCESS] * len(deliveries)
        changes: list[Change[Any]] = []
        came: dict[str, Receipt] = {}
        for delivery in deliveries:
            event = delivery.event
            if HANDLERS[type(event.data)] is _keep_receipt:
                receipt = came[event.data.order_id] = _keep_receipt(event)
                changes.append(Change(RECEIPTS, receipt.order_id, partial(_unless_there, receipt), known=NEW))
        receipts = await self._receipts(deliveries, came)
        first = len(changes)
        for at, delivery in enumerate(deliveries):
            event = delivery.event
            if HANDLERS[type(event.data)] is _keep_receipt or domain.is_told_with_cart(event.data):
                continue
            money = receipts.get(event.data.order_id)
            if money is None and domain.needs_receipt(event.data) and delivery.attempt < self._patience:
                answers[at] = Acknowledgement.RETRY
                continue
            # One that is there already has been told or is going to be.
            decide = partial(_tell, event, money)
            changes.append(Change(NOTIFICATIONS, domain.id_for(event.data), decide, Cause.of(event), NEW))
        updated = await self._updates.update(changes)
        fresh = [each.state for each in changed(updated[first:])]
        write_to_log([each for each in fresh if each.status is Status.SENT])
        if any(each.status is Status.PENDING for each in fresh):
            self.due.wake()
        return answers

    async def _receipts(self, deliveries: Sequence[Delivery], came: Mapping[str, Receipt]) -> Mapping[str, Receipt]:
        """The receipts that these go by, as far as they are there."""
        wanted = [
            delivery.event.data.order_id
            for delivery in deliveries
            if HANDLERS[type(delivery.event.data)] is not _keep_receipt
            and not domain.is_told_with_cart(delivery.event.data)
            and domain.goes_by_receipt(delivery.event.data)
        ]
        missing = [id for id in dict.fromkeys(wanted) if id not in came]
        if not missing:
            return came
        found = await RECEIPTS.load(self._updates.records, missing)
        return {**came, **{id: each.state for id, each in found.items()}}

    async def find(
        self, query: Query, fits: Callable[[Notification], bool] | None = None
    ) -> tuple[list[Notification], str | None]:
        """A page of notifications and the cursor of the next one. Raises UnusableCursor.

        Where they have to fit, so many pages are looked through at most; then there may be fewer in it, or none, and a
        next one.
        """
        found: list[Notification] = []
        after, left = query.after, query.limit
        for _ in range(1 if fits is None else PAGES):
            here, page = await NOTIFICATIONS.find(self._updates.records, query._replace(after=after, limit=left))
            found += [each.state for each in here if fits is None or fits(each.state)]
            after, left = page.next, query.limit - len(found)
            if after is None or left <= 0:
                break
        return found, after

    async def named(self, ids: Sequence[str]) -> list[Notification]:
        """The notifications with these ids, as far as they exist."""
        return [each.state for each in (await NOTIFICATIONS.load(self._updates.records, ids)).values()]

    async def retry(self, ids: Sequence[str]) -> list[Notification]:
        """Send those again that were given up or came back; again changes nothing.

        Raises NotFound, AlreadySent, Busy.
        """

        def again(id: str, notification: Notification | None, now: datetime) -> Decision[Notification]:
            if notification is None:
                raise NotFound("notification", id)
            return Decision(domain.retry(notification, now=now))

        updated = await self._updates.update([Change(NOTIFICATIONS, id, partial(again, id)) for id in ids])
        if any(result is ChangeResult.CONFLICT for result, _ in updated):
            raise Busy("These are being changed by too many requests at once.")
        self.due.wake()
        return [known.state for _, known in updated if known is not None]

    async def bounce(self, came_back: Mapping[str, str]) -> Mapping[str, Notification | None]:
        """Note that messages came back: id → why, as a status code. Returns each message as it is now, by id.

        None: there is no such message, or its buyer was erased. A second call changes nothing. Raises Busy.
        """

        def decide(id: str, notification: Notification | None, now: datetime) -> Decision[Notification] | None:
            return None if notification is None else domain.bounced(notification, came_back[id], now=now)

        updated = await self._updates.update([Change(NOTIFICATIONS, id, partial(decide, id)) for id in came_back])
        if any(result is ChangeResult.CONFLICT for result, _ in updated):
            raise Busy("These are being changed by too many requests at once.")
        news = [known.state for result, known in updated if result is ChangeResult.CHANGED and known is not None]
        self.bounced += len(news)
        for each in news:
            _log.warning("%s came back: %s", each.id, each.bounce)
        found = {known.state.id: known.state for _, known in updated if known is not None}
        return {id: found.get(id) for id in came_back}

    @property
    def is_paused(self) -> bool:
        """Is the server left alone just now, with all that waits for it?"""
        return self.sending.at_once(self._at_once) < self._at_once

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches, by metric name."""
        return {
            "cludale_messages_sending": self.due.under_way,
            "cludale_messages_paused": float(self.is_paused),
            "cludale_messages_sent_total": self.sending.sent,
            "cludale_messages_failed_total": self.sending.failed,
            "cludale_messages_bounced_total": self.bounced,
            "cludale_templates_unusable_total": self.templates.letters.unusable,
        }


def _keep_receipt(event: Envelope) -> Receipt:
    return domain.receipt(event.data, at=event.time)


def _unless_there(receipt: Receipt, stored: Receipt | None, _: datetime) -> Decision[Receipt]:
    return Decision(stored or receipt)


def _tell(event: Envelope, money: Receipt | None, stored: Notification | None, now: datetime) -> Decision[Notification]:
    if stored is not None:
        return Decision(stored)
    fact, cause = event.data, Cause.of(event)
    without_money = _WITHOUT_MONEY.get(type(fact))
    if without_money is not None:
        return without_money(fact, cause=cause, now=now)
    if isinstance(fact, ConfirmationRequested):
        return domain.tell_once_more(fact, money, cause=cause, now=now)
    return domain.tell(fact, money, cause=cause, now=now)


_WITHOUT_MONEY: Mapping[type[Event], Callable[..., Decision[Notification]]] = {
    PartRefunded: domain.tell_of_part,
    OrderReseated: domain.tell_reseated,
    SeatsOffered: domain.tell_of_offer,
}
"""Where what is told of does not depend on what was paid: by what it is told."""


HANDLERS: Mapping[type[Event], Callable[..., Any]] = {
    OrderPaid: _tell,
    CartPaid: _tell,
    OrderCancelled: _tell,
    OrderMoved: _tell,
    OrderReseated: _tell,
    PaymentCompleted: _keep_receipt,
    PartRefunded: _tell,
    ConfirmationRequested: _tell,
    SeatsOffered: _tell,
}
"""What the service hears, and what decides about it."""
