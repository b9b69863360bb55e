"""What these pages read of the API's answers: as much as they show."""

from datetime import datetime

import msgspec


class Ways(msgspec.Struct, frozen=True, rename="camel"):
    """How people sign in."""

    with_key: bool
    by_issuer: bool


class Going(msgspec.Struct, frozen=True, rename="camel"):
    """Where the issuer is."""

    sign_in_at: str


class Token(msgspec.Struct, frozen=True, rename="camel"):
    """A session's token."""

    token: str
    sign_out_hint: str | None = None
    """What the issuer knows the sign-in by."""


class Member(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Somebody who has signed in."""

    id: str
    name: str
    organizer: str
    scopes: tuple[str, ...]
    concert_id: str | None
    roles: tuple[str, ...]
    last_at: datetime
    sessions: int


class Members(msgspec.Struct, frozen=True):
    """All of them."""

    items: tuple[Member, ...]


class Over(msgspec.Struct, frozen=True, rename="camel"):
    """A session that is over."""

    sign_out_at: str | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Somebody who is signed in."""

    id: str
    name: str
    organizer: str
    scopes: tuple[str, ...]
    concert_id: str | None
    began_at: datetime
    ends_at: datetime
    idle_seconds: float


class Sessions(msgspec.Struct, frozen=True):
    """All of them."""

    items: tuple[Session, ...]


class Key(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key."""

    id: str
    name: str
    organizer: str
    scopes: tuple[str, ...]
    concert_id: str | None
    created_at: datetime
    ends_at: datetime | None
    last_used_at: datetime | None = None
    key: str = ""


class Keys(msgspec.Struct, frozen=True):
    """All keys of an organizer."""

    items: tuple[Key, ...]


class Code(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A code that pairs a device."""

    code: str
    name: str
    concert_id: str
    ends_at: datetime
