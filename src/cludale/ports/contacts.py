"""Contacts: how notifications learns a buyer's address, which no event carries."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec


class Contact(msgspec.Struct, frozen=True, gc=False):
    """Where a buyer wants to be told, and how they are spoken to; each may be missing."""

    email: str | None = None
    phone: str | None = None
    name: str | None = None
    language: str | None = None
    """Which they read. Both are None, too, where an older version answers."""


class ContactsUnreachable(Exception):
    """Orders gave no answer in time; try again."""


class Contacts(Protocol):
    """The orders service, seen from notifications."""

    async def of(self, order_ids: Sequence[str], /) -> Mapping[str, Contact]:
        """The contacts of these orders, as far as they left any. Raises ContactsUnreachable."""
        ...
