"""Links to a report that is too large for a mail: whoever has one can fetch that report, until its time is over."""

import hmac
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cludale.ports.seals import Seals

GOOD_FOR = timedelta(days=7)


class Link(NamedTuple):
    """Which report, and until when."""

    schedule_id: str
    at: datetime
    """When it was due."""
    ends_at: datetime


def token_of(link: Link, seals: Seals) -> str:
    """The link as a part of a path. Nobody makes one without the master key of what is sealed."""
    said = _link_text(link)
    return f"{said}~{seals.digest(_signed_text(said))}"


def opened(token: str, seals: Seals, *, now: datetime) -> Link | None:
    """The link that a token of ours says; None for any other, and for one whose time is over."""
    said, _, digest = token.rpartition("~")
    known = [hmac.compare_digest(digest.encode(), each.encode()) for each in seals.digests(_signed_text(said))]
    if not any(known):
        return None
    schedule_id, at, ends_at = said.split("~")
    link = Link(schedule_id, _time(at), _time(ends_at))
    return link if now < link.ends_at else None


def _link_text(link: Link) -> str:
    return f"{link.schedule_id}~{int(link.at.timestamp())}~{int(link.ends_at.timestamp())}"


def _signed_text(said: str) -> str:
    return f"report link {said}"


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(int(text), UTC)
