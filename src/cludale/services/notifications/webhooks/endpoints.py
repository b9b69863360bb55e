"""Endpoints: where an organizer wants to be told, of what, and when nothing is sent there any more. No I/O or clock.

What an endpoint signs with, and who is told when it is switched off, is sealed: see `Sealed`. Its URL may hold a
token of the receiver's, so it is in no event.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.principals import Principal
from cludale.kernel.refusals import Refusal
from cludale.ports.seals import Sealed
from cludale.services.notifications.events import (
    WebhookChanged,
    WebhookCreated,
    WebhookDeleted,
    WebhookEvent,
    WebhookStopped,
    WebhookStopReason,
)
from cludale.services.notifications.webhooks.signing import Scheme

MOST_ENDPOINTS = 20
"""Of one organizer."""
MOST_FORMER = 3
"""Former secrets that are valid at once, the newest."""
LONGEST_OVERLAP = timedelta(days=30)
SURE_AFTER = timedelta(seconds=2)
"""From so long after a change on it counts in every process: each looks once a second what endpoints there are."""


class TooManyWebhooks(Refusal):
    """The organizer has as many endpoints as it can have: delete one that is not needed."""

    def __init__(self) -> None:
        super().__init__(f"There are {MOST_ENDPOINTS} webhooks, which is the limit.", limit=MOST_ENDPOINTS)


class WebhookOff(Refusal):
    """Nothing is sent to an endpoint that is switched off: switch it on first."""

    def __init__(self, id: str) -> None:
        super().__init__(f"The webhook {id!r} is off: nothing is sent to it. Switch it on first.", id=id)


class Status(StrEnum):
    """Where an endpoint is in its life."""

    ON = "on"
    OFF = "off"
    """Nothing is sent to it, and no delivery is kept for it; `stopped` says why."""
    DELETED = "deleted"


class Former(msgspec.Struct, frozen=True, gc=False):
    """Secrets of before, which sign beside the ones of now until `ends_at`."""

    sealed: Sealed
    ends_at: datetime


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """An endpoint, as it is kept."""

    id: str
    organizer: str
    status: Status
    created_at: datetime
    sure_from: datetime
    """What it wants is known everywhere from then on: it gets all such events that happen after that."""
    url: str = ""
    schemes: tuple[Scheme, ...] = ()
    public_key: str | None = None
    event_types: tuple[str, ...] = ()
    """Empty: all, with those that are to come."""
    concert_id: str | None = None
    """The one concert that it is told of; None: all of its organizer's."""
    about: str | None = None
    has_email: bool = False
    sealed: Sealed | None = None
    """`Private`, sealed for its id; None where it is deleted."""
    former: tuple[Former, ...] = ()
    stopped: WebhookStopReason | None = None
    stopped_at: datetime | None = None
    failing_since: datetime | None = None
    """Since when no attempt was answered with 2xx; None: the last one was, or none was made."""
    stops: int = 0
    """How often it was stopped for how it answered."""
    revision: int = 1
    """How many facts there are about it in the log."""

    def wants(self, type: str, concert_id: str) -> bool:
        """Is it to be told of this?"""
        return (
            self.status is Status.ON
            and self.concert_id in (None, concert_id)
            and (not self.event_types or type in self.event_types)
        )

    def is_seen_by(self, principal: Principal) -> bool:
        """Is it this key's own? One for a single concert sees what is for that concert alone."""
        return (
            self.status is not Status.DELETED
            and principal.organizer == self.organizer
            and principal.concert_id in (None, self.concert_id)
        )

    def valid_at(self, now: datetime) -> list[Sealed]:
        """What its deliveries are signed with, the newest first."""
        former = [each.sealed for each in self.former if each.ends_at > now]
        return former if self.sealed is None else [self.sealed, *former]


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An endpoint to be, or fields of one that is changed."""

    id: str
    organizer: str
    url: str
    schemes: tuple[Scheme, ...]
    public_key: str | None
    event_types: tuple[str, ...]
    concert_id: str | None
    about: str | None
    has_email: bool
    sealed: Sealed


class EndpointChange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Fields that are said anew; unset: as they are."""

    url: str | msgspec.UnsetType = msgspec.UNSET
    event_types: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    concert_id: str | msgspec.UnsetType | None = msgspec.UNSET
    about: str | msgspec.UnsetType | None = msgspec.UNSET
    is_on: bool | msgspec.UnsetType = msgspec.UNSET


def create(new: NewEndpoint, *, by: str, now: datetime) -> Decision[Endpoint]:
    """It is there, and switched on."""
    created = WebhookCreated(
        webhook_id=new.id,
        organizer=new.organizer,
        webhook_revision=1,
        event_types=new.event_types,
        only_concert=new.concert_id,
        changed_by=by,
        created_at=now,
    )
    endpoint = evolve(None, created, at=now)
    kept = replace(
        endpoint,
        url=new.url,
        schemes=new.schemes,
        public_key=new.public_key,
        about=new.about,
        has_email=new.has_email,
        sealed=new.sealed,
    )
    return Decision(kept, (created,))


def change(endpoint: Endpoint, wanted: EndpointChange, *, by: str, now: datetime) -> Decision[Endpoint]:
    """What is said anew. Switched on, it begins without a past; nothing to change changes nothing."""
    given = {
        name: value for name in ("url", "event_types", "concert_id", "about") if _is_set(value := getattr(wanted, name))
    }
    after = replace(endpoint, **given)
    if wanted.is_on is True and endpoint.status is Status.OFF:
        after = replace(after, status=Status.ON, stopped=None, stopped_at=None, failing_since=None)
    elif wanted.is_on is False and endpoint.status is Status.ON:
        after = replace(after, status=Status.OFF, stopped=WebhookStopReason.ORGANIZER, stopped_at=now)
    if after == endpoint:
        return Decision(endpoint)
    return _changed(replace(after, sure_from=now + SURE_AFTER), by=by)


def _changed(after: Endpoint, *, by: str, is_rotated: bool = False) -> Decision[Endpoint]:
    """The endpoint as it is after a change, and the event that tells of it."""
    changed = WebhookChanged(
        webhook_id=after.id,
        organizer=after.organizer,
        webhook_revision=after.revision + 1,
        event_types=after.event_types,
        only_concert=after.concert_id,
        is_on=after.status is Status.ON,
        is_rotated=is_rotated,
        changed_by=by,
    )
    return Decision(replace(after, revision=changed.webhook_revision), (changed,))


def _is_set(value: object) -> bool:
    return value is not msgspec.UNSET


def with_sealed(endpoint: Endpoint, sealed: Sealed, *, has_email: bool) -> Endpoint:
    """The same secrets with another address to tell."""
    return replace(endpoint, sealed=sealed, has_email=has_email)


def resealed(endpoint: Endpoint, rewrap: Callable[[Sealed], Sealed]) -> Endpoint:
    """The same under another master key."""
    sealed = None if endpoint.sealed is None else rewrap(endpoint.sealed)
    former = tuple(replace(each, sealed=rewrap(each.sealed)) for each in endpoint.former)
    return replace(endpoint, sealed=sealed, former=former)


def rotate(
    endpoint: Endpoint, sealed: Sealed, public_key: str | None, *, overlap: timedelta, by: str, now: datetime
) -> Decision[Endpoint]:
    """Sign with these from now on, and for `overlap` with those of before as well."""
    former = [each for each in endpoint.former if each.ends_at > now]
    if endpoint.sealed is not None and overlap > timedelta():
        former.insert(0, Former(endpoint.sealed, now + overlap))
    after = replace(endpoint, sealed=sealed, public_key=public_key, former=tuple(former[:MOST_FORMER]))
    return _changed(after, by=by, is_rotated=True)


def delete(endpoint: Endpoint, *, by: str, now: datetime) -> Decision[Endpoint]:
    """Delete the endpoint with its URL, secrets and address; a second time changes nothing."""
    if endpoint.status is Status.DELETED:
        return Decision(endpoint)
    deleted = WebhookDeleted(
        webhook_id=endpoint.id, organizer=endpoint.organizer, webhook_revision=endpoint.revision + 1, changed_by=by
    )
    return Decision(evolve(endpoint, deleted, at=now), (deleted,))


def answered(endpoint: Endpoint) -> Decision[Endpoint]:
    """An attempt was answered with 2xx."""
    return Decision(endpoint if endpoint.failing_since is None else replace(endpoint, failing_since=None))


def failed(endpoint: Endpoint, *, stop_after: timedelta, now: datetime) -> Decision[Endpoint]:
    """An attempt came to nothing. Where that has gone on for `stop_after`, nothing is sent to it any more."""
    if endpoint.status is not Status.ON:
        return Decision(endpoint)
    if endpoint.failing_since is None:
        return Decision(replace(endpoint, failing_since=now))
    if now - endpoint.failing_since < stop_after:
        return Decision(endpoint)
    return _stop(endpoint, WebhookStopReason.FAILING, now=now)


def gone(endpoint: Endpoint, *, now: datetime) -> Decision[Endpoint]:
    """It answered 410: it wants nothing any more."""
    return Decision(endpoint) if endpoint.status is not Status.ON else _stop(endpoint, WebhookStopReason.GONE, now=now)


def _stop(endpoint: Endpoint, reason: WebhookStopReason, *, now: datetime) -> Decision[Endpoint]:
    stopped = WebhookStopped(
        webhook_id=endpoint.id,
        organizer=endpoint.organizer,
        webhook_revision=endpoint.revision + 1,
        reason=reason,
        stops=endpoint.stops + 1,
    )
    return Decision(evolve(endpoint, stopped, at=now), (stopped,))


def evolve(endpoint: Endpoint | None, event: WebhookEvent, *, at: datetime) -> Endpoint:
    """The endpoint after this fact, as far as the log tells of it. Raises TypeError for one before it was created.

    Each fact says all that it leaves, so one that comes after a later one changes nothing.
    """
    if isinstance(event, WebhookCreated):
        return Endpoint(
            id=event.webhook_id,
            organizer=event.organizer,
            status=Status.ON,
            created_at=event.created_at,
            sure_from=event.created_at + SURE_AFTER,
            event_types=event.event_types,
            concert_id=event.only_concert,
        )
    if endpoint is None:
        raise TypeError(f"{type(event).__name__} before WebhookCreated")
    if event.webhook_revision <= endpoint.revision:
        return endpoint
    after = replace(endpoint, revision=event.webhook_revision)
    match event:
        case WebhookChanged():
            status = Status.ON if event.is_on else Status.OFF
            return replace(after, event_types=event.event_types, concert_id=event.only_concert, status=status)
        case WebhookStopped():
            return replace(after, status=Status.OFF, stopped=event.reason, stopped_at=at, stops=event.stops)
        case WebhookDeleted():
            return Endpoint(
                id=after.id,
                organizer=after.organizer,
                status=Status.DELETED,
                created_at=after.created_at,
                sure_from=after.sure_from,
                revision=after.revision,
            )
    return after
