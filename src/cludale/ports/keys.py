"""Keys: how every service knows which keys there are. Concerts keeps them; the others ask it, again and again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from cludale.kernel.principals import Scope


class ListedKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A key as it is checked: never the key itself."""

    id: str
    digest: str
    """The keyed hash of the key: hexadecimal."""
    organizer: str
    scopes: tuple[Scope, ...]
    concert_id: str | None = None
    ends_at: datetime | None = None
    """From then on it opens nothing."""
    idle_seconds: float | None = None
    """After how long without a request a session ends. None: this is a key, no session."""
    of: str = ""
    """The key that a session was opened with, and ends with; empty where an issuer vouched for somebody."""
    of_digest: str = ""
    """That key's hash, where it is the first one."""


class KeyListing(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """All keys as of one version of them."""

    version: int
    keys: Sequence[ListedKey] = ()
    organizers: Sequence[str] = ()
    """Each that ever had a key, beside the default one."""


class KeysUnreachable(Exception):
    """Concerts gave no answer in time; try again."""


class Keys(Protocol):
    """The keeper of the keys."""

    async def listing(self, known: KeyListing | None, /) -> KeyListing:
        """All keys as they are now; `known` itself where nothing has changed. Raises KeysUnreachable."""
        ...

    async def used(self, last: Mapping[str, datetime], rehashed: Mapping[str, str], /) -> None:
        """Note when these keys, by id, were used last, and what their hashes are from now on. Raises KeysUnreachable.

        `rehashed`: of keys that were used and are kept by a hash of a former secret, or of the next one.
        """
        ...
