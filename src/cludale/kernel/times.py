"""Times are aware datetimes in UTC. Pure helpers only: the clock itself is a port."""

from datetime import UTC, datetime, timedelta

import msgspec


def rfc3339(moment: datetime) -> str:
    """`2026-11-22T19:30:00.000000Z`: fixed width, so that text order is time order."""
    text: str = msgspec.to_builtins(moment.astimezone(UTC))  # a sixth of what strftime takes, and years keep 4 digits
    return text if len(text) == 27 else f"{text[:-1]}.000000Z"


def whole_second_after(moment: datetime, seconds: float) -> datetime:
    """The first whole second at least `seconds` after `moment`.

    Holds end on whole seconds, so that a section can keep its holds as one count a second.
    """
    end = moment + timedelta(seconds=seconds)
    return end if end.microsecond == 0 else end.replace(microsecond=0) + timedelta(seconds=1)


def epoch_second(moment: datetime) -> int:
    """Seconds since 1970, whole."""
    return int(moment.timestamp())
