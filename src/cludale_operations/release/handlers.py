"""Do green's handlers get on with events as well as blue's? From what was counted of both in the same while. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec


class Tries(NamedTuple):
    """What became of events at their first try by a handler."""

    handled: int = 0
    retried: int = 0
    """Too early, says the handler."""
    failed: int = 0
    """It broke."""
    refused: int = 0
    """Never, says the handler."""

    @property
    def events(self) -> int:
        """How many there were."""
        return sum(self)

    @property
    def bad(self) -> int:
        """Those at which a handler broke, or which it refused."""
        return self.failed + self.refused

    def plus(self, other: "Tries") -> "Tries":
        """Both."""
        return Tries(*(one + more for one, more in zip(self, other, strict=True)))


Outcomes = Mapping[str, Tries]
"""Event type → what became of its events, at one revision of one service."""

Handled = Mapping[tuple[str, str], Outcomes]
"""(service, revision) → outcomes."""


class EventBounds(msgspec.Struct, frozen=True, kw_only=True):
    """What is still good."""

    bad_share: float = 0.01
    """Of green's events, in absolute terms …"""
    more_than_blue: float = 0.005
    """… and by how much more than of blue's."""
    bad_at_once: int = 3
    """Fewer are no reason, whatever their share."""
    enough_events: int = 20
    """How many events a service must have had to be judged, and how many of one type, all too early, are a reason."""
    handled_by_blue: float = 0.5
    """So large a share has blue to handle of a type of which green handles nothing."""


def events_of(outcomes: Outcomes) -> Tries:
    """The tries of all event types together."""
    whole = Tries()
    for each in outcomes.values():
        whole = whole.plus(each)
    return whole


def of_handlers(service: str, green: Outcomes, blue: Outcomes, bounds: EventBounds) -> list[str]:
    """What is wrong with green's handlers, type by type, then all together; nothing if all is well."""
    reasons = []
    for event_type, tries in sorted(green.items()):
        reasons += _of_type(service, event_type, tries, blue.get(event_type, Tries()), bounds)
    return reasons or _of_type(service, "events", events_of(green), events_of(blue), bounds)


def _of_type(service: str, what: str, green: Tries, blue: Tries, bounds: EventBounds) -> list[str]:
    reasons = []
    if green.bad >= bounds.bad_at_once and _share(green.bad, green) > max(
        bounds.bad_share, _share(blue.bad, blue) + bounds.more_than_blue
    ):
        reasons.append(
            f"{service}: green's handler broke at {green.failed} and refused {green.refused} of {green.events} {what}; "
            f"blue's {blue.failed} and {blue.refused} of {blue.events}"
        )
    if (
        green.retried == green.events >= bounds.enough_events
        and blue.events >= bounds.enough_events
        and _share(blue.handled, blue) >= bounds.handled_by_blue
    ):
        # How many come too early is a matter of moments, and differs between two that are equally good.
        reasons.append(
            f"{service}: to green's handler all of {green.events} {what} came too early; "
            f"blue's handled {blue.handled} of {blue.events}"
        )
    return reasons


def _share(of_them: int, tries: Tries) -> float:
    return of_them / tries.events if tries.events else 0.0
