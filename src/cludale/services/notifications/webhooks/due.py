"""What is due for a delivery: to post it, or to forget it. One that says that an endpoint was stopped goes by e-mail.

A delivery is first written down as Pending and due; then it is posted, and then what came of that is written down. So
an endpoint may get it twice, under the same `webhook-id`, and never not at all.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import msgspec

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.ports.clock import Clock, IdSource
from cludale.ports.messengers import HandedTo, Mailer, NotSent, Trouble
from cludale.ports.records import StoreUnavailable
from cludale.ports.seals import CannotOpen, Sealed, Seals
from cludale.ports.tracing import TRACEPARENT
from cludale.ports.webhooks import AddressRefused, Answered, NotPosted, WebhookSender
from cludale.runtime.aggregates import NEW, Change, Updates
from cludale.runtime.due import Do, DuePolicy, Step
from cludale.services.notifications.events import WebhookStopReason
from cludale.services.notifications.webhooks import deliveries, endpoints, notice
from cludale.services.notifications.webhooks.catalogue import DISABLED, Message
from cludale.services.notifications.webhooks.deliveries import Delivery, DeliveryLimits
from cludale.services.notifications.webhooks.endpoints import Endpoint
from cludale.services.notifications.webhooks.pacing import Pacing
from cludale.services.notifications.webhooks.signing import Secrets, headers
from cludale.services.notifications.webhooks.store import DELIVERIES, ENDPOINTS

BUSY = frozenset({429, 502, 503, 504})
"""Answers by which an endpoint asks for fewer requests."""
REST = timedelta(seconds=5)
GONE = 410

_log = logging.getLogger(__name__)


class Private(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What is sealed of an endpoint."""

    secrets: Secrets
    email: str | None = None
    """Who is told when it is stopped."""


_private = msgspec.json.Decoder(Private)


def pack(private: Private) -> bytes:
    """To be sealed."""
    return msgspec.json.encode(private)


def unpack(seals: Seals, sealed: Sealed, webhook_id: str) -> Private:
    """What was sealed. Raises CannotOpen."""
    return _private.decode(seals.open(sealed, webhook_id))


class Posting(DuePolicy[Delivery]):
    """Posts what is due, and counts it."""

    def __init__(
        self,
        updates: Updates,
        *,
        sender: WebhookSender,
        mailer: Mailer,
        seals: Seals,
        clock: Clock,
        ids: IdSource,
        limits: DeliveryLimits,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called when one was stopped."""
        self._updates = updates
        self._sender = sender
        self._mailer = mailer
        self._seals = seals
        self._clock = clock
        self._ids = ids
        self._limits = limits
        self._changed = changed
        self.pacing = Pacing()
        self.delivered = 0
        """Deliveries that an endpoint took."""
        self.failed = 0
        """Deliveries that were given up."""

    def take_up(self, state: Delivery, now: datetime) -> Decision[Delivery]:
        """Claim it, if its endpoint has room; else put it off."""
        claimed = deliveries.take_up(state, now=now, limits=self._limits)
        if claimed.status is deliveries.Status.PENDING and claimed is not state and claimed.due_at is not None:
            later = self.pacing.admit(state.webhook_id, state.id, until=claimed.due_at, now=now)
            if later is not None:
                return Decision(deliveries.wait(state, until=later))
        return Decision(claimed)

    def is_taken(self, state: Delivery) -> bool:
        """It has a place at its endpoint."""
        return self.pacing.has_place(state.webhook_id, state.id)

    async def start(self, states: Sequence[Delivery]) -> Do[Delivery]:
        """The endpoints of all of them are read at once."""
        ids = list(dict.fromkeys(each.webhook_id for each in states))
        known: Mapping[str, Endpoint] | None = None
        try:
            loaded = await ENDPOINTS.load(self._updates.records, ids)
        except StoreUnavailable as away:  # they are due again when their leases end
            _log.warning("%d deliveries wait for their endpoints to be read: %s", len(states), away)
        else:
            known = {id: each.state for id, each in loaded.items()}

        async def do(delivery: Delivery) -> Step[Delivery]:
            if known is None:
                self._leave(delivery, self._clock.now(), went_well=True)
                return lambda kept, _: Decision(kept)
            return await self._do(delivery, known)

        return do

    def no_answer(self, state: Delivery, why: str) -> Step[Delivery]:
        """It may have been posted."""
        self._leave(state, self._clock.now(), went_well=False)
        return self._try_again(None, why)

    def settled(self, states: Sequence[Delivery]) -> None:
        """What came to an end is counted."""
        for each in states:
            if each.status is deliveries.Status.DELIVERED:
                self.delivered += 1
            elif each.status is deliveries.Status.FAILED:
                self.failed += 1
                _log.warning("%s (%s) to %s was given up: %s", each.id, each.type, each.webhook_id, each.detail)

    async def _do(self, delivery: Delivery, known: Mapping[str, Endpoint]) -> Step[Delivery]:
        TRACEPARENT.set(delivery.cause.traceparent)
        began, went_well = self._clock.now(), False
        try:
            endpoint = known.get(delivery.webhook_id)
            if endpoint is None or endpoint.status is endpoints.Status.DELETED or endpoint.sealed is None:
                went_well = True
                return self._give_up(None, "the webhook is deleted")
            if delivery.type == DISABLED:
                went_well = True
                return await self._notify(delivery, endpoint)
            if endpoint.status is not endpoints.Status.ON:
                went_well = True
                return self._give_up(delivery.answer, "the webhook is off")
            step, went_well = await self._post(delivery, endpoint)
        except CannotOpen as error:
            _log.error("%s: set CLUDALE_PRIVACY_KEY, or CLUDALE_PRIVACY_KEY_TOO, to the key that it was under", error)
            return self._try_again(None, "its secrets can't be read at the moment")
        except Exception as error:  # noqa: BLE001 - a delivery that breaks its sender must not hold up the others
            _log.error("%s to %s: %r", delivery.id, delivery.webhook_id, error, exc_info=error)
            return self._try_again(None, "it could not be posted")
        else:
            return step
        finally:
            self._leave(delivery, began, went_well=went_well)

    async def _post(self, delivery: Delivery, endpoint: Endpoint) -> tuple[Step[Delivery], bool]:
        """One attempt, and whether the endpoint took it."""
        now, body = self._clock.now(), delivery.body.encode()
        secrets = [unpack(self._seals, each, endpoint.id).secrets for each in endpoint.valid_at(now)]
        signed = headers(secrets, id=delivery.message_id, at=now, body=body)
        try:
            answered = await self._sender.post(endpoint.url, body, signed)
        except NotPosted as why:
            said = f"its URL {why}" if isinstance(why, AddressRefused) else str(why)
            await self._endpoint_failed(endpoint)
            return self._try_again(None, said), False
        if 200 <= answered.status < 300:
            if endpoint.failing_since is not None:
                await self._change(endpoint, lambda kept, _: endpoints.answered(kept))
            at = self._clock.now()
            return lambda kept, _: deliveries.delivered(kept, answered.status, now=at, limits=self._limits), True
        if answered.status == GONE:
            if not await self._stop(endpoint, WebhookStopReason.GONE):
                return self._try_again(GONE, "the endpoint is gone (410), which could not be written down yet"), False
            return self._give_up(GONE, "the endpoint is gone (410)"), False
        not_before = self._rest(endpoint.id, answered)
        await self._endpoint_failed(endpoint)
        what = "a redirect, which is not followed" if 300 <= answered.status < 400 else "not 2xx"
        return self._try_again(answered.status, f"answered {answered.status}: {what}", not_before), False

    def _rest(self, webhook_id: str, answered: Answered) -> datetime | None:
        """Until when nothing is sent to it, as it asked for that."""
        asked = answered.retry_after_seconds
        if answered.status not in BUSY:
            return None
        rest = REST if asked is None else timedelta(seconds=min(asked, deliveries.LONGEST_RETRY_AFTER.total_seconds()))
        until = self._clock.now() + rest
        self.pacing.rest(webhook_id, until)
        return until

    async def _endpoint_failed(self, endpoint: Endpoint) -> None:
        now = self._clock.now()
        if endpoint.failing_since is None:
            await self._change(
                endpoint, lambda kept, at: endpoints.failed(kept, stop_after=self._limits.stop_after, now=at)
            )
        elif now - endpoint.failing_since >= self._limits.stop_after:
            await self._stop(endpoint, WebhookStopReason.FAILING)

    async def _stop(self, endpoint: Endpoint, reason: WebhookStopReason) -> bool:
        """Stop it, if that can be written. What tells of it is written first, once for each stop, and waits until it is
        true.
        """
        now = self._clock.now()
        told = Message(notice.id_of(endpoint), DISABLED, now, (endpoint.concert_id or "",), "{}")
        delivery = deliveries.new(told, endpoint.id, endpoint.organizer, cause=Cause(), now=now)
        await self._updates.update([Change(DELIVERIES, delivery.id, partial(_once, delivery), known=NEW)])
        if reason is WebhookStopReason.GONE:
            is_written = await self._change(endpoint, lambda kept, at: endpoints.gone(kept, now=at))
        else:
            is_written = await self._change(
                endpoint, lambda kept, at: endpoints.failed(kept, stop_after=self._limits.stop_after, now=at)
            )
        if is_written:
            _log.warning("webhook %s of %s was stopped: %s", endpoint.id, endpoint.organizer, reason.value)
            self._changed()
        return is_written

    async def _change(self, endpoint: Endpoint, decide: Callable[[Endpoint, datetime], Decision[Endpoint]]) -> bool:
        """What came of an attempt, as far as the endpoint goes. If it can't be written, the next one says so."""

        def decided(kept: Endpoint | None, now: datetime) -> Decision[Endpoint] | None:
            return None if kept is None else decide(kept, now)

        try:
            await self._updates.update([Change(ENDPOINTS, endpoint.id, decided)])
        except StoreUnavailable as away:
            _log.warning("what came of an attempt at %s can't be written down: %s", endpoint.id, away)
            return False
        return True

    async def _notify(self, delivery: Delivery, endpoint: Endpoint) -> Step[Delivery]:
        """Tell whom the endpoint names that it was stopped, by e-mail, or in the log."""
        if notice.id_of(endpoint, stops=endpoint.stops - 1) != delivery.message_id:
            if endpoint.failing_since is None:
                return self._give_up(None, "the endpoint works again")
            return self._try_again(None, "the endpoint is not stopped yet")
        email = None if endpoint.sealed is None else unpack(self._seals, endpoint.sealed, endpoint.id).email
        handed = HandedTo.LOG
        if email is not None:
            try:
                async with asyncio.timeout(self._limits.send_seconds):
                    handed = await self._mailer.send(notice.message(endpoint, email))
            except (NotSent, TimeoutError) as error:
                why = str(error).replace(email, "…") or "no answer from the mail server in time"
                is_final = isinstance(error, NotSent) and error.trouble is Trouble.REFUSED
                return self._give_up(None, why) if is_final else self._try_again(None, why)
        if handed is HandedTo.LOG:
            _log.warning("that webhook %s was stopped stands in the log only: no address, or no server", endpoint.id)
        at = self._clock.now()
        return lambda kept, _: deliveries.delivered(kept, None, now=at, limits=self._limits)

    def _try_again(self, answer: int | None, why: str, not_before: datetime | None = None) -> Step[Delivery]:
        again = partial(
            deliveries.not_delivered,
            answer=answer,
            why=why,
            now=self._clock.now(),
            limits=self._limits,
            jitter=self._ids.jitter(),
            not_before=not_before,
        )
        return lambda kept, _: again(kept)

    def _give_up(self, answer: int | None, why: str) -> Step[Delivery]:
        now = self._clock.now()
        return lambda kept, _: deliveries.give_up(kept, answer, why, now=now, limits=self._limits)

    def _leave(self, delivery: Delivery, began: datetime, *, went_well: bool) -> None:
        took = self._clock.now() - began
        self.pacing.leave(delivery.webhook_id, delivery.id, took=took, went_well=went_well)


def _once(wanted: Delivery, kept: Delivery | None, _: datetime) -> Decision[Delivery]:
    """What is wanted, unless it is there: one that failed was given up before what it tells of was true."""
    return Decision(wanted if kept is None or kept.status is deliveries.Status.FAILED else kept)
