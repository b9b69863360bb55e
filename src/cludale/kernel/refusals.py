"""Refusals: what a decision answers instead of a new state. Named for the domain, they carry values.

How a refusal looks over HTTP is said in each service's `api.py`; what stands here knows no HTTP.
"""

import re
from typing import Any, Final

from cludale.kernel.ids import ID_PATTERN

UNSHOWN: Final = "…"
"""Stands for what a caller wrote and is not repeated: it may be somebody's name or address, in the wrong place."""
_ID: Final = re.compile(ID_PATTERN)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", re.ASCII)


def shown_name(name: str) -> str:
    """The name of a field or a parameter that is not known, if it has the form of one."""
    return name if _NAME.fullmatch(name) else UNSHOWN


class Refusal(Exception):
    """Base of all refusals. A subclass gives its values as keyword arguments and a sentence in `detail`."""

    def __init__(self, detail: str, **values: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.values = values

    @classmethod
    def name(cls) -> str:
        """The stable name, in kebab-case: `seats-unavailable` for `SeatsUnavailable`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


class RefusedForNow(Refusal):
    """A refusal that may not last, because time or stock changes. It is not kept as the answer to a key."""

    retry_after_seconds: int | None = None
    """When to ask again, where that is known."""


class NotFound(Refusal):
    """No such thing, or not yours to see: the two look the same. What has not the form of an id is not repeated."""

    def __init__(self, what: str, identity: str) -> None:
        shown = identity if _ID.fullmatch(identity) else UNSHOWN
        super().__init__(f"There is no {what} {shown!r}.", what=what, id=shown)


class Invalid(Refusal):
    """The input can't be valid, whatever the state. `errors` name each field."""

    def __init__(self, *errors: tuple[str, str]) -> None:
        listed = [{"field": field, "message": message} for field, message in errors]
        super().__init__("; ".join(f"{field}: {message}" for field, message in errors), errors=listed)


class IdempotencyKeyReused(Refusal):
    """The same key came with another body before."""

    def __init__(self, key: str) -> None:
        super().__init__(
            "This Idempotency-Key was used with another body; use a new key for a new request.",
            errors=[{"field": "Idempotency-Key", "message": "was used with another body"}],
        )
        self.key = key


class IdempotencyKeyInFlight(Refusal):
    """The first request with this key is still being worked on."""

    def __init__(self, key: str) -> None:
        super().__init__("A request with this Idempotency-Key is still in progress; try again in a moment.")
        self.key = key


class Busy(Refusal):
    """More waits than can be served in time; come back after the seconds that are said."""

    def __init__(self, detail: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds
