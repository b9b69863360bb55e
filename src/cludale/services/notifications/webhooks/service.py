"""Webhooks at work: keeps endpoints, makes a delivery of each event for each endpoint that wants it, sends them.

Where nobody has an endpoint, an event costs one comparison.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from msgspec import UnsetType

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.principals import DEFAULT_ORGANIZER, Principal
from cludale.kernel.refusals import Busy, Invalid, NotFound
from cludale.ports.bus import Acknowledgement
from cludale.ports.bus import Delivery as BusDelivery
from cludale.ports.clock import Clock, IdSource
from cludale.ports.messengers import Mailer
from cludale.ports.programme import Programme, ProgrammeUnreachable
from cludale.ports.records import Query, Records
from cludale.ports.seals import CannotOpen, Seals
from cludale.ports.webhooks import AddressRefused, WebhookSender
from cludale.runtime.aggregates import NEW, Change, ChangeResult, Updates
from cludale.runtime.due import DueWork
from cludale.runtime.recent import Recent
from cludale.services.concerts.events import ConcertScheduled
from cludale.services.notifications.webhooks import catalogue, deliveries, endpoints
from cludale.services.notifications.webhooks.catalogue import BY_EVENT, PING, Message, concerts_of
from cludale.services.notifications.webhooks.deliveries import Delivery, DeliveryLimits
from cludale.services.notifications.webhooks.directory import Directory
from cludale.services.notifications.webhooks.due import Posting, Private, pack, unpack
from cludale.services.notifications.webhooks.endpoints import (
    Endpoint,
    EndpointChange,
    NewEndpoint,
    TooManyWebhooks,
    WebhookOff,
)
from cludale.services.notifications.webhooks.signing import Scheme, Secrets, secrets_of
from cludale.services.notifications.webhooks.store import DELIVERIES, ENDPOINTS, all_endpoints, listed, of_organizer

REMEMBERED = 10_000
"""Concerts whose organizer is remembered."""
CLOCKS = timedelta(minutes=1)
"""How far clocks may differ: what happened longer before an endpoint was made is not told to it."""
AT_ONCE = 64
REWRAP_EVERY = timedelta(minutes=10)

_log = logging.getLogger(__name__)


class Asked(NamedTuple):
    """An endpoint as somebody wants it."""

    url: str
    schemes: tuple[Scheme, ...]
    event_types: tuple[str, ...]
    concert_id: str | None
    about: str | None
    email: str | None


class Made(NamedTuple):
    """An endpoint and the secrets that it signs with now: to be shown once."""

    endpoint: Endpoint
    secrets: Secrets


class Webhooks:
    """Endpoints and deliveries of all organizers."""

    def __init__(
        self,
        records: Records,
        *,
        clock: Clock,
        ids: IdSource,
        programme: Programme,
        sender: WebhookSender,
        mailer: Mailer,
        seals: Seals,
        random_bytes: Callable[[int], bytes],
        limits: DeliveryLimits,
        finish_seconds: float = 5.0,
        takes_work: Callable[[], bool] = lambda: True,
    ) -> None:
        self._updates = Updates("notifications", records, clock=clock, ids=ids)
        self._clock = clock
        self._ids = ids
        self._programme = programme
        self._sender = sender
        self._seals = seals
        self._random = random_bytes
        self._directory = Directory(records, clock)
        self._organizers: Recent[str, str] = Recent(REMEMBERED)
        self._rewrap_at: datetime | None = None
        self._posting = Posting(
            self._updates,
            sender=sender,
            mailer=mailer,
            seals=seals,
            clock=clock,
            ids=ids,
            limits=limits,
            changed=self._directory.forget,
        )
        self.due: DueWork[Delivery] = DueWork(
            self._updates,
            DELIVERIES,
            self._posting,
            at_once=AT_ONCE,
            attempt_seconds=limits.longest_seconds,
            finish_seconds=finish_seconds,
            takes_work=takes_work,
        )
        """Deliveries that are to be posted."""

    async def handle(self, arrived: Sequence[BusDelivery]) -> list[Acknowledgement]:
        """Each event becomes a delivery to each endpoint that wants it, once. RETRY while nobody says whose it is."""
        answers = [Acknowledgement.SUCCESS] * len(arrived)
        on = await self._directory.on()
        if not on:
            return answers
        wanted = [
            (at, each)
            for at, each in enumerate(arrived)
            if (fact := BY_EVENT.get(each.event.type)) is not None
            and any(one.wants(fact.name, concert) for one in on for concert in concerts_of(each.event.data))
        ]
        if not wanted:
            return answers
        organizers = await self._organizers_of([each for _, each in wanted])
        changes: list[Change[Delivery]] = []
        now = self._clock.now()
        for at, each in wanted:
            concert_id, *_ = concerts_of(each.event.data)
            if organizers is None and concert_id not in self._organizers:
                answers[at] = Acknowledgement.RETRY
                continue
            organizer = (organizers or self._organizers).get(concert_id)
            message = catalogue.message(each.event, each.body)
            for one in on:
                if (
                    message is not None
                    and one.organizer == organizer
                    and one.created_at - CLOCKS <= each.event.time
                    and any(one.wants(message.type, concert) for concert in message.concerts)
                ):
                    new = deliveries.new(message, one.id, organizer, cause=Cause.of(each.event), now=now)
                    changes.append(Change(DELIVERIES, new.id, partial(_unless_there, new), known=NEW))
        updated = await self._updates.update(changes) if changes else ()
        if any(result is ChangeResult.CONFLICT for result, _ in updated):  # none is told of an event that may be lost
            answers = [Acknowledgement.RETRY] * len(arrived)
        if any(result is ChangeResult.CHANGED for result, _ in updated):
            self.due.wake()
        return answers

    async def _organizers_of(self, arrived: Sequence[BusDelivery]) -> Mapping[str, str] | None:
        """Concert → its organizer, for good, of those that there are; None: concerts gives no answer."""
        for data in [each.event.data for each in arrived]:
            if isinstance(data, ConcertScheduled):
                owner = DEFAULT_ORGANIZER if isinstance(data.organizer_id, UnsetType) else data.organizer_id
                self._organizers.remember({data.concert_id: owner})
        ids = {concerts_of(each.event.data)[0] for each in arrived}
        unknown = sorted(ids - self._organizers.keys())
        if unknown:
            try:
                found = await self._programme.of(unknown)
            except ProgrammeUnreachable as away:
                _log.warning("whose events are is not known at the moment: %s", away)
                return None
            self._organizers.remember({id: concert.organizer for id, concert in found.items()})
        return {id: organizer for id in ids if (organizer := self._organizers.get(id)) is not None}

    async def sweep(self) -> int:
        """Do what is due; now and then, bring secrets under the master key that is used."""
        if self._seals.has_two_masters:
            now = self._clock.now()
            if self._rewrap_at is None or self._rewrap_at <= now:
                await self._rewrap()
                self._rewrap_at = now + REWRAP_EVERY
        return await self.due.sweep()

    async def create(self, organizer: str, asked: Asked, *, by: str) -> Made:
        """A new endpoint, with new secrets. Raises Invalid, TooManyWebhooks, Busy."""
        self._check(asked.url)
        mine = [each async for each in self._mine(organizer)]
        if sum(each.status is not endpoints.Status.DELETED for each in mine) >= endpoints.MOST_ENDPOINTS:
            raise TooManyWebhooks
        id = self._ids.new("webhook")
        secrets = secrets_of(asked.schemes, self._random(64))
        new = NewEndpoint(
            id=id,
            organizer=organizer,
            url=asked.url,
            schemes=asked.schemes,
            public_key=secrets.public,
            event_types=asked.event_types,
            concert_id=asked.concert_id,
            about=asked.about,
            has_email=asked.email is not None,
            sealed=self._seals.seal(pack(Private(secrets, asked.email)), id),
        )
        decide = lambda kept, now: Decision(kept) if kept else endpoints.create(new, by=by, now=now)  # noqa: E731
        ((_, made),) = await self._updates.update([Change(ENDPOINTS, id, decide, Cause(), known=NEW)])
        self._directory.forget()
        if made is None:
            raise Busy("The webhooks are being changed by too many requests at once.")
        return Made(made.state, secrets)

    async def _mine(self, organizer: str) -> Any:
        after: str | None = None
        while True:
            found, page = await ENDPOINTS.find(self._updates.records, of_organizer(organizer, after=after))
            for each in found:
                yield each.state
            after = page.next
            if after is None:
                return

    def _check(self, url: str) -> None:
        try:
            self._sender.check(url)
        except AddressRefused as refused:
            raise Invalid(("url", str(refused))) from refused

    async def all(self, principal: Principal) -> list[Endpoint]:
        """The endpoints that this key sees, the newest first."""
        found = [each async for each in self._mine(principal.organizer)]
        return [each for each in reversed(found) if each.is_seen_by(principal)]

    async def one(self, principal: Principal, id: str) -> Endpoint:
        """The endpoint. Raises NotFound, also where it is not this key's own."""
        found = (await ENDPOINTS.load(self._updates.records, (id,))).get(id)
        if found is None or not found.state.is_seen_by(principal):
            raise NotFound("webhook", id)
        return found.state

    async def change(self, principal: Principal, id: str, wanted: EndpointChange, email: Any = None) -> Endpoint:
        """What is said anew; `email`: a list of the one to tell, or of None. Raises NotFound, Invalid, Busy."""
        if isinstance(wanted.url, str):
            self._check(wanted.url)

        def decide(kept: Endpoint, now: datetime) -> Decision[Endpoint]:
            changed = endpoints.change(kept, wanted, by=principal.id, now=now)
            if email is None or changed.state.sealed is None:
                return changed
            (address,) = email
            private = unpack(self._seals, changed.state.sealed, id)
            if private.email == address:
                return changed
            sealed = self._seals.seal(pack(Private(private.secrets, address)), id)
            after = endpoints.with_sealed(changed.state, sealed, has_email=address is not None)
            return Decision(after, changed.events)

        return await self._changed(principal, id, decide)

    async def rotate(self, principal: Principal, id: str, *, overlap: timedelta) -> Made:
        """New secrets; those of now are good for `overlap` beside them. Raises NotFound, Busy.

        Of two requests at once only one gives secrets: who asked again after no answer has those that are in force.
        """
        found = await self.one(principal, id)
        secrets = secrets_of(found.schemes, self._random(64))

        def decide(kept: Endpoint, now: datetime) -> Decision[Endpoint]:
            if kept.sealed != found.sealed:
                raise Busy(f"The secrets of the webhook {id!r} were changed by another request meanwhile; ask again.")
            email = None if kept.sealed is None else unpack(self._seals, kept.sealed, id).email
            sealed = self._seals.seal(pack(Private(secrets, email)), id)
            return endpoints.rotate(kept, sealed, secrets.public, overlap=overlap, by=principal.id, now=now)

        return Made(await self._changed(principal, id, decide), secrets)

    async def delete(self, principal: Principal, id: str) -> Endpoint:
        """It is gone; what is left of it. Raises NotFound, Busy."""
        deleted = await self._changed(principal, id, lambda kept, now: endpoints.delete(kept, by=principal.id, now=now))
        self._posting.pacing.forget(id)
        return deleted

    async def _changed(
        self, principal: Principal, id: str, decide: Callable[[Endpoint, datetime], Decision[Endpoint]]
    ) -> Endpoint:
        def owned(kept: Endpoint | None, now: datetime) -> Decision[Endpoint]:
            if kept is None or not kept.is_seen_by(principal):
                raise NotFound("webhook", id)
            return decide(kept, now)

        try:
            ((_, changed),) = await self._updates.update([Change(ENDPOINTS, id, owned, Cause())])
        except CannotOpen as error:
            _log.error("%s: set CLUDALE_PRIVACY_KEY, or CLUDALE_PRIVACY_KEY_TOO, to the key that it was under", error)
            raise Busy("The secrets of this webhook can't be read at the moment.") from error
        finally:
            self._directory.forget()
        if changed is None:
            raise Busy(f"The webhook {id!r} is being changed by too many requests at once.")
        state: Endpoint = changed.state
        return state

    async def ping(self, principal: Principal, id: str) -> Delivery:
        """Send it something that says nothing, to see whether it works. Raises NotFound, WebhookOff."""
        found = await self.one(principal, id)
        if found.status is not endpoints.Status.ON:
            raise WebhookOff(id)
        now, message_id = self._clock.now(), self._ids.new("message")
        body = catalogue.body(PING, now, {"webhookId": id})
        message = Message(message_id, PING, now, (found.concert_id or "",), body)
        new = deliveries.new(message, id, found.organizer, cause=Cause(), now=now)
        await self._updates.update([Change(DELIVERIES, new.id, partial(_unless_there, new), known=NEW)])
        self.due.wake()
        return new

    async def deliveries(
        self, principal: Principal, *, webhook_id: str | None, status: deliveries.Status | None, query: Query
    ) -> tuple[list[Delivery], str | None]:
        """A page of deliveries, the newest first, and the cursor of the next. Raises UnusableCursor."""
        asked = listed(principal.organizer, webhook_id=webhook_id, status=status, after=query.after, limit=query.limit)
        found, page = await DELIVERIES.find(self._updates.records, asked)
        shown = [each.state for each in found]
        if principal.concert_id is not None:
            mine = {each.id for each in await self.all(principal)}
            shown = [each for each in shown if each.webhook_id in mine]
        return shown, page.next

    async def delivery(self, principal: Principal, id: str) -> Delivery:
        """One. Raises NotFound."""
        found = (await DELIVERIES.load(self._updates.records, (id,))).get(id)
        await self._own(principal, id, None if found is None else found.state)
        assert found is not None  # noqa: S101 - `_own` raises where there is none
        return found.state

    async def _own(self, principal: Principal, id: str, found: Delivery | None) -> None:
        if found is None or found.organizer != principal.organizer:
            raise NotFound("delivery", id)
        if principal.concert_id is not None:
            endpoint = (await ENDPOINTS.load(self._updates.records, (found.webhook_id,))).get(found.webhook_id)
            if endpoint is None or not endpoint.state.is_seen_by(principal):
                raise NotFound("delivery", id)

    async def resend(self, principal: Principal, ids: Sequence[str]) -> list[Delivery]:
        """Send these once more. Raises NotFound, WebhookOff, Busy."""
        loaded = await DELIVERIES.load(self._updates.records, ids)
        for id in ids:
            await self._own(principal, id, loaded[id].state if id in loaded else None)
        for webhook_id in {each.state.webhook_id for each in loaded.values()}:
            endpoint = (await ENDPOINTS.load(self._updates.records, (webhook_id,))).get(webhook_id)
            if endpoint is None or endpoint.state.status is not endpoints.Status.ON:
                raise WebhookOff(webhook_id)
        changes = [Change(DELIVERIES, id, _again, known=loaded[id]) for id in ids]
        updated = await self._updates.update(changes)
        if any(result is ChangeResult.CONFLICT for result, _ in updated):
            raise Busy("These are being changed by too many requests at once.")
        self.due.wake()
        return [known.state for _, known in updated if known is not None]

    async def _rewrap(self) -> None:
        """Bring secrets of endpoints under the master key that is used now."""
        after: str | None = None
        while True:
            found, page = await ENDPOINTS.find(self._updates.records, all_endpoints(after=after))
            stale = [each for each in found if self._is_stale(each.state)]
            if stale:
                await self._updates.update(
                    [Change(ENDPOINTS, each.state.id, self._rewrapped, Cause(), known=each) for each in stale]
                )
                _log.info("secrets of %d webhooks are under the master key that is used now", len(stale))
            after = page.next
            if after is None:
                return

    def _is_stale(self, endpoint: Endpoint) -> bool:
        kept = [endpoint.sealed, *(each.sealed for each in endpoint.former)]
        return any(each is not None and each.master != self._seals.master for each in kept)

    def _rewrapped(self, kept: Endpoint | None, _: datetime) -> Decision[Endpoint] | None:
        if kept is None or kept.sealed is None or not self._is_stale(kept):
            return None
        return Decision(endpoints.resealed(kept, lambda sealed: self._seals.rewrap(sealed, kept.id)))

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches, by metric name."""
        return {
            "cludale_webhooks_delivered_total": self._posting.delivered,
            "cludale_webhooks_failed_total": self._posting.failed,
        }


Handle = Callable[[Sequence[BusDelivery]], Awaitable[list[Acknowledgement]]]


def _unless_there(new: Delivery, kept: Delivery | None, _: datetime) -> Decision[Delivery]:
    return Decision(kept or new)


def _again(kept: Delivery | None, now: datetime) -> Decision[Delivery] | None:
    return None if kept is None else Decision(deliveries.again(kept, now=now))


def both(tells: Handle, types: frozenset[str], webhooks: Webhooks) -> Handle:
    """Hands each event to webhooks, and those of `types` to whoever `tells` buyers; RETRY if either says so."""

    async def handle(arrived: Sequence[BusDelivery]) -> list[Acknowledgement]:
        answers = await webhooks.handle(arrived)
        told = [at for at, each in enumerate(arrived) if each.event.type in types]
        if told:
            for at, answer in zip(told, await tells([arrived[at] for at in told]), strict=True):
                if answer is not Acknowledgement.SUCCESS:
                    answers[at] = answer
        return answers

    return handle


HANDLERS: Mapping[type, Callable[..., Any]] = {fact.event: deliveries.new for fact in catalogue.FACTS}
"""What webhooks hear: each becomes a new delivery at each endpoint that wants it."""
