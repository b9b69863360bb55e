"""The story of an order: each event of the log as a line that people read, with the event itself beside it. No I/O."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from cludale.kernel.money import Money
from cludale.pages.desk.views import Happening

MOST = 200
"""Events that a page tells."""
_AMOUNTS = ("amount", "total")


class StoryEvent(NamedTuple):
    """An event as it is told."""

    type: str
    """Its name, for which the page has words."""
    at: datetime
    service: str
    amount: Money | None
    """The money that it is about."""
    tickets: int | None
    """The seats or tickets that it is about."""
    why: str
    """A reason that it names, by its name in the API."""
    is_repeated: bool
    is_late: bool
    text: str
    """The event's data, as the log has it. It says of no buyer who they are."""
    order: str
    """The order that it is about, if it is about one."""
    section: str


def told(event: Happening) -> StoryEvent:
    """The event, told."""
    data = event.payload
    part = data.get("part")
    inner = part if isinstance(part, dict) else data
    return StoryEvent(
        type=event.event_type,
        at=event.timestamp,
        service=event.source.rpartition("/")[2],
        amount=next((found for name in _AMOUNTS if (found := _money(inner.get(name))) is not None), None),
        tickets=_count(data, inner),
        why=_text(data.get("reason")),
        is_repeated=event.repeated,
        is_late=event.late,
        text=msgspec.json.format(msgspec.json.encode({"id": event.event_id, **data}), indent=2).decode(),
        order=event.correlation_id or "",
        section=_text(data.get("section")),
    )


def _money(value: Any) -> Money | None:
    try:
        return msgspec.convert(value, Money)
    except msgspec.ValidationError:
        return None


def _count(data: dict[str, Any], inner: dict[str, Any]) -> int | None:
    for each in (inner.get("tickets"), data.get("quantity")):
        if isinstance(each, int) and not isinstance(each, bool):
            return each
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
