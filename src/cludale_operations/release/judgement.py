"""Is the new version good? From what was measured, against limits and against the old one. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec


class Figures(NamedTuple):
    """What a revision did in a while.

    `errors`: answers of 5xx, or none; `p99_seconds`: None if nobody knows; `timed`: from how many times that comes,
    which are fewer than the requests where some are not timed or recorded.
    """

    requests: int = 0
    errors: int = 0
    p99_seconds: float | None = None
    timed: int = 0

    @property
    def error_share(self) -> float:
        """Errors by requests."""
        return self.errors / self.requests if self.requests else 0.0


class Backlog(NamedTuple):
    """Events: how many wait to be delivered, how many services keep as dead so far, and how many wait as dead letters.

    `given_up`: topic of dead letters → its events that wait to be tried again or kept; and a queue of the broker's own
    dead letters → what stands there. A platform without such topics or queues names none.
    """

    waiting: int = 0
    dead_letters: int = 0
    given_up: Mapping[str, int] = MappingProxyType({})


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What is still good."""

    error_share: float = 0.01
    """Of green's answers, in absolute terms …"""
    more_than_blue: float = 0.005
    """… and by how much more than of blue's."""
    p99_seconds: float = 1.0
    """Of green, in absolute terms …"""
    times_blue: float = 1.5
    """… and compared with blue's. What is over one of the two alone is no reason."""
    enough_requests: int = 20
    """Fewer tell nothing of a share, and fewer times nothing of a percentile."""
    errors_at_once: int = 5
    """From so many errors on their share counts, however few requests there were."""
    waiting_events: int = 5_000
    dead_letters: int = 0
    """How many more than before are still good."""
    given_up: int = 0
    """The same for each topic of dead letters and each of the broker's own queues of them."""


Measured = Mapping[tuple[str, str], Figures]
"""(service, "blue" or "green") → its figures."""


def is_timed(figures: Figures, bounds: Bounds) -> bool:
    """Were enough requests timed for the percentile to tell anything?"""
    return figures.p99_seconds is not None and figures.timed >= bounds.enough_requests


def as_it_was(blue: Figures, p99_seconds: float | None, bounds: Bounds) -> Figures:
    """Blue's figures to compare green with.

    Once blue gets too few requests to tell, its percentile is the one that it had before.
    """
    if is_timed(blue, bounds):
        return blue
    return blue._replace(p99_seconds=p99_seconds)


def with_enough(figures: Figures, of_longer: Figures, bounds: Bounds) -> Figures:
    """Where there is too little to tell anything, of answers or of times, that of a longer while."""
    if figures.requests < bounds.enough_requests:
        figures = figures._replace(requests=of_longer.requests, errors=of_longer.errors)
    if figures.timed < bounds.enough_requests:
        figures = figures._replace(p99_seconds=of_longer.p99_seconds, timed=of_longer.timed)
    return figures


def has_enough(figures: Figures, bounds: Bounds) -> bool:
    """Is there enough of both to tell anything?"""
    return min(figures.requests, figures.timed) >= bounds.enough_requests


def of_requests(service: str, green: Figures, blue: Figures, bounds: Bounds) -> list[str]:
    """What is wrong with one service's answers; nothing if all is well."""
    reasons = []
    too_many = green.requests >= bounds.enough_requests or green.errors >= bounds.errors_at_once
    if too_many and green.error_share > max(bounds.error_share, blue.error_share + bounds.more_than_blue):
        reasons.append(f"{service}: {green.errors} of green's {green.requests} answers are errors")
    if (
        green.p99_seconds is not None
        and is_timed(green, bounds)
        and green.p99_seconds > bounds.p99_seconds
        and (blue.p99_seconds is None or green.p99_seconds > bounds.times_blue * blue.p99_seconds)
    ):
        than = "" if blue.p99_seconds is None else f", blue's within {blue.p99_seconds:.3g} s"
        reasons.append(f"{service}: 99 % of green's answers come only within {green.p99_seconds:.3g} s{than}")
    return reasons


def of_events(now: Backlog, before: Backlog, bounds: Bounds) -> list[str]:
    """What is wrong with the events; nothing if all is well."""
    reasons = []
    if now.waiting > max(bounds.waiting_events, 2 * before.waiting):
        reasons.append(f"{now.waiting} events wait to be delivered, {before.waiting} before")
    buried = now.dead_letters - before.dead_letters
    if buried > bounds.dead_letters:
        reasons.append(f"{buried} more events could not be delivered at all")
    for topic, waiting in now.given_up.items():
        more = waiting - before.given_up.get(topic, 0)
        if more > bounds.given_up:
            reasons.append(f"{topic}: {more} more events wait there")
    return reasons


def lasting(now: Backlog, look_before: Backlog) -> Backlog:
    """Of what waits among the dead letters, what waited there at the look before as well.

    Whoever hears a topic of dead letters tries them again: one that was there for a moment is no sign of a bad version.
    """
    return now._replace(
        given_up={topic: min(count, look_before.given_up.get(topic, 0)) for topic, count in now.given_up.items()}
    )


def judged(services: list[str], measured: Measured, now: Backlog, before: Backlog, bounds: Bounds) -> list[str]:
    """Everything that is wrong; nothing if all is well."""
    reasons = [
        reason
        for service in services
        for reason in of_requests(
            service, measured.get((service, "green"), Figures()), measured.get((service, "blue"), Figures()), bounds
        )
    ]
    return reasons + of_events(now, before, bounds)
