"""Keys over HTTP: shapes and routes. Who operates the platform makes them; a key itself is in one answer, once."""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from cludale.kernel.ids import Id, from_key
from cludale.kernel.principals import DEFAULT_ORGANIZER, Scope
from cludale.kernel.refusals import Busy, Invalid, NotFound
from cludale.ports.keys import KeyListing
from cludale.ports.programme import ConcertDetails
from cludale.services import NAMES
from cludale.services.concerts.key_service import KeyService
from cludale.services.concerts.keys import LONGEST_OVERLAP, Key, KeyDigest, KeyEnded, NewKey, TooManyKeys
from cludale.web.fields import Text, Time, parsed_time
from cludale.web.problems import Statuses
from cludale.web.queries import Page
from cludale.web.responses import Response, json_response
from cludale.web.routing import TRACEPARENT, Credential, Reply, Request, route

STATUS: Statuses = {TooManyKeys: 409, KeyEnded: 409}


class KeyView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key, without the key."""

    id: str
    name: str
    organizer: str
    scopes: list[Scope]
    concert_id: Annotated[str | None, Meta(description="the one concert that it is for")]
    created_at: datetime
    ends_at: Annotated[datetime | None, Meta(description="from then on it opens nothing")]
    last_used_at: Annotated[datetime | None, Meta(description="to a minute or so")] = None


class MadeKey(KeyView, frozen=True, kw_only=True, rename="camel"):
    """A key that was just made."""

    key: Annotated[str, Meta(description="the bearer token; shown only here, and kept by nobody else")]


class CreateKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A key to be."""

    SHOWN_AS: ClassVar = KeyView

    name: Text
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=len(Scope))]
    organizer: Id = DEFAULT_ORGANIZER
    concert_id: Id | None = None
    ends_at: Time | None = None


class RotateKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """For how long the old key goes on beside the new one."""

    overlap_seconds: Annotated[float, Meta(ge=0, le=LONGEST_OVERLAP.total_seconds())] = 0


class FindKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Whose keys to list."""

    organizer: Annotated[str, Meta(max_length=64)] | None = None


class AskListing(msgspec.Struct, frozen=True, kw_only=True):
    """The version of the listing that whoever asks has."""

    known: Annotated[int, Meta(ge=0)] | None = None


class UsedKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When which key was used last, and what it is kept by from now on."""

    used: Annotated[dict[str, datetime], Meta(max_length=10_000)]
    rehashed: Annotated[dict[str, Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]], Meta(max_length=10_000)] = {}


class KeysApi:
    """The routes of keys."""

    def __init__(
        self,
        keys: KeyService,
        digest: Callable[[str], str],
        concerts: Callable[[Sequence[str]], Awaitable[Mapping[str, ConcertDetails]]],
    ) -> None:
        """`digest`: the keyed hash of a key (`KeyRing.digest`)."""
        self._keys = keys
        self._digest = digest
        self._concerts = concerts

    @route(
        "POST",
        "/concerts/-/keys",
        scope=Scope.OPERATE,
        headers=(TRACEPARENT,),
        summary="Make a key",
        description=(
            "For one organizer, and for one of its concerts, if that is named. The key is in this answer alone. "
            "`operate` is about the whole platform, whoever's concerts are on it; a key with it can make others."
        ),
        replies={201: Reply(MadeKey, "The key.")},
        refusals=(TooManyKeys, Busy),
    )
    async def create_key(self, request: Request, body: CreateKey) -> Response:
        """201 the key."""
        if Scope.OPERATE in body.scopes and (body.organizer != DEFAULT_ORGANIZER or body.concert_id is not None):
            raise Invalid(("scopes", "`operate` is about the whole platform: not for one organizer or one concert"))
        ends_at = None if body.ends_at is None else parsed_time("endsAt", body.ends_at)
        if ends_at is not None and ends_at <= self._keys.now():
            raise Invalid(("endsAt", "must be in the future"))
        if body.concert_id is not None:
            concert = (await self._concerts((body.concert_id,))).get(body.concert_id)
            if concert is not None and concert.organizer != body.organizer:  # one that is not there may yet be put on
                raise Invalid(("concertId", f"is not a concert of organizer {body.organizer!r}"))
        key, new = new_key(self._digest)
        wanted = NewKey(
            id=new.id,
            digest=new.digest,
            name=body.name,
            organizer=body.organizer,
            scopes=tuple(dict.fromkeys(body.scopes)),
            only_concert=body.concert_id,
            ends_at=ends_at,
        )
        return made_key(await self._keys.create(wanted, request.cause), key)

    @route(
        "GET",
        "/concerts/-/keys",
        scope=Scope.OPERATE,
        summary="List keys",
        description="The newest first; those that ended more than 90 days ago may be missing.",
        replies={200: Reply(Page[KeyView])},
    )
    async def list_keys(self, _: Request, query: FindKeys) -> Response:
        """All of them."""
        found, used = await self._keys.all(query.organizer)
        return json_response(Page([_view(each, used.get(each.id)) for each in found], None))

    @route(
        "POST",
        "/concerts/-/keys/{key_id}/revoke",
        scope=Scope.OPERATE,
        headers=(TRACEPARENT,),
        summary="End a key",
        description="Within a second it opens nothing, anywhere. Again, it stays as it is.",
        replies={200: Reply(KeyView)},
        refusals=(NotFound, Busy),
    )
    async def revoke_key(self, request: Request) -> Response:
        """200 the key."""
        return json_response(_view(await self._keys.revoke(request.segment, request.cause), None))

    @route(
        "POST",
        "/concerts/-/keys/{key_id}/rotate",
        scope=Scope.OPERATE,
        headers=(TRACEPARENT,),
        summary="Make a key in the place of another",
        description="For the same things. The old one ends after `overlapSeconds`; until then both are good.",
        replies={201: Reply(MadeKey, "The new key.")},
        refusals=(NotFound, KeyEnded, TooManyKeys, Busy),
    )
    async def rotate_key(self, request: Request, body: RotateKey) -> Response:
        """201 the new key."""
        key, new = new_key(self._digest)
        overlap = timedelta(seconds=body.overlap_seconds)
        return made_key(await self._keys.rotate(request.segment, new, overlap=overlap, cause=request.cause), key)

    @route("GET", "/concerts/-/keys/listing", credential=Credential.SERVICE, callers=NAMES)
    async def show_listing(self, _: Request, query: AskListing) -> Response:
        """For services in processes of their own, which ask again and again: 204 where they know it already."""
        listing = await self._keys.listing(None if query.known is None else KeyListing(version=query.known))
        return Response(204, b"") if listing.version == query.known else json_response(listing)

    @route("POST", "/concerts/-/keys/used", credential=Credential.SERVICE, callers=NAMES)
    async def note_use(self, _: Request, body: UsedKeys) -> Response:
        """Which keys were used there."""
        if any(each.tzinfo is None for each in body.used.values()):
            raise Invalid(("used", "are times with an offset"))
        await self._keys.used(body.used, body.rehashed)
        return json_response({})


def new_key(digest: Callable[[str], str]) -> tuple[str, KeyDigest]:
    """A key, which is an id, no secret, a dot, and 256 random bits; and what it is known by."""
    id = from_key("key", secrets.token_hex(16))
    key = f"{id}.{secrets.token_urlsafe(32)}"
    return key, KeyDigest(id, digest(key))


def _view(key: Key, last_used_at: datetime | None) -> KeyView:
    return KeyView(**_shown(key), last_used_at=last_used_at)


def made_key(key: Key, token: str) -> Response:
    """201 a key that was just made."""
    return json_response(MadeKey(**_shown(key), key=token), 201)


def _shown(key: Key) -> dict[str, Any]:
    scopes: Sequence[Scope] = key.scopes
    return {
        "id": key.id,
        "name": key.name,
        "organizer": key.organizer,
        "scopes": list(scopes),
        "concert_id": key.only_concert,
        "created_at": key.created_at,
        "ends_at": key.ends_at,
    }
