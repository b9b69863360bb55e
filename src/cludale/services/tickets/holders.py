"""The name of who a ticket was passed on to, as it is kept: sealed under a key that follows from the one for codes.

So it can be read for as long as codes of that key are good, and no longer: when a former key ends, its names are gone,
wherever copies of the store are. Where an earlier version kept one in clear it is shown as it stands.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence

import msgspec

from cludale.ports.seals import CannotOpen, Sealed, Seals, SealsOf
from cludale.ports.ticket_keys import TicketKey

_MARK = "sealed:"


class Holders:
    """Seals and opens names."""

    def __init__(self, seals_of: SealsOf) -> None:
        self._seals_of = seals_of
        self._known: dict[str, Seals] = {}

    def sealed(self, name: str, ticket_id: str, key: TicketKey) -> str:
        """The name as it is kept, for this ticket alone."""
        packed = msgspec.msgpack.encode(self._seals_under(key).seal(name.encode(), ticket_id))
        return _MARK + b64encode(packed).decode()

    def name(self, kept: str | None, ticket_id: str, keys: Sequence[TicketKey]) -> str | None:
        """The name; None where there is none, or the key that it is under has ended."""
        if kept is None or not kept.startswith(_MARK):
            return kept
        sealed = msgspec.msgpack.decode(b64decode(kept.removeprefix(_MARK)), type=Sealed)
        for key in keys:
            seals = self._seals_under(key)
            if seals.master == sealed.master:
                try:
                    return seals.open(sealed, ticket_id).decode()
                except CannotOpen:
                    return None
        return None

    def _seals_under(self, key: TicketKey) -> Seals:
        if key.id not in self._known:
            secret = hmac.digest(key.seed, b"cludale names of holders", "sha256").hex()
            self._known[key.id] = self._seals_of(secret)
        return self._known[key.id]
