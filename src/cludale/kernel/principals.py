"""Who asks, and what they may: principals and scopes. No I/O, clock or HTTP."""

from enum import StrEnum

import msgspec

DEFAULT_ORGANIZER = "default"
"""The organizer of all that names none: what earlier versions wrote, and the first key."""


class Scope(StrEnum):
    """What a key opens. One without a scope that a route wants is refused there, whoever owns what it asks for."""

    CATALOGUE = "catalogue"
    """Put concerts on, and find those that are not listed."""
    SELL = "sell"
    """Hold seats, charge orders, pay for them in another way, send messages again."""
    READ = "read"
    """Look at orders, payments, messages and the log."""
    REFUND = "refund"
    """Cancel orders, which gives seats and money back."""
    DOOR = "door"
    """Let people in, and count them."""
    OPERATE = "operate"
    """The platform itself, whoever's concerts are on it: releases, dead letters, replay, the chain, keys."""
    PRIVACY = "privacy"
    """For those who answer for personal data: see what is kept of a buyer, and erase it."""


ALL_SCOPES = frozenset(Scope)


class PrincipalKind(StrEnum):
    """Which kind of credential somebody showed."""

    KEY = "key"
    PERSON = "person"
    """Somebody who is signed in: a session says the same as a key."""
    SERVICE = "service"


class Principal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who asks. A buyer is none: an order's token says which order it opens, and nothing of who holds it."""

    kind: PrincipalKind
    id: str
    organizer: str
    """The organizer whose concerts it may manage."""
    scopes: frozenset[Scope]
    concert_id: str | None = None
    """The only concert that it may see to; None: any of its organizer."""

    def owns(self, organizer: str, concert_id: str) -> bool:
        """Is a concert of this organizer its own? A service acts for whoever asked it, so all are."""
        if self.kind is PrincipalKind.SERVICE:
            return True
        return organizer == self.organizer and self.concert_id in (None, concert_id)


FIRST = Principal(kind=PrincipalKind.KEY, id="first", organizer=DEFAULT_ORGANIZER, scopes=ALL_SCOPES)
"""Who shows the organizer's key of the settings, or the one that was made at the first start."""

SERVICE = Principal(kind=PrincipalKind.SERVICE, id="service", organizer=DEFAULT_ORGANIZER, scopes=frozenset())
"""Another service of the platform."""
