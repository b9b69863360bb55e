"""Fields of bodies that are days or times in a concert's zone: what `zones` refuses, they refuse by their name."""

from datetime import datetime

from cludale.kernel.refusals import Invalid
from cludale.services.concerts import zones


def when(field: str, text: str, zone: str | None) -> str:
    """A day as it stands, or a time to the second with its offset in the zone, if one is known. Raises Invalid."""
    try:
        return zones.written(text, zone)
    except ValueError as error:
        raise Invalid((field, str(error))) from error


def moment(field: str, text: str, zone: str | None, *, is_end: bool = False) -> datetime:
    """The time; of a day, where the zone is known, its first moment there or its end. Raises Invalid."""
    try:
        return zones.moment(text, zone, is_end=is_end)
    except ValueError as error:
        raise Invalid((field, str(error))) from error
