"""Who was refused, in the log: sign-ins and requests without the right credential, and those that came too often.

A line names the route as it is declared and the problem, and the key or session that was brought by its id; no secret,
no address, nothing that was sent. So that strangers can't fill the log, there are so many lines a second at most; how
many more there were says one line.
"""

import logging
import re
from collections.abc import Callable

LINES_A_SECOND = 20
REFUSED = frozenset({401, 403, 429})
"""These statuses are said."""

_ID = re.compile(r"(?i:bearer) +((?:key|session)-[0-9a-z]{1,64})\.")
_log = logging.getLogger(__name__)


class RefusalLog:
    """Those of one process."""

    def __init__(self, monotonic: Callable[[], float], *, lines_a_second: int = LINES_A_SECOND) -> None:
        self._monotonic = monotonic
        self._limit = lines_a_second
        self._second = -1
        self._said = 0
        self._left_out = 0

    def note(self, method: str, path: str, status: int, problem: str, authorization: str | None) -> None:
        """A request was answered so. `path`: the route's. Of the `authorization` header the id alone is said."""
        second = int(self._monotonic())
        if second != self._second:
            if self._left_out:
                _log.warning("%d more requests were refused in one second", self._left_out)
            self._second, self._said, self._left_out = second, 0, 0
        if self._said >= self._limit:
            self._left_out += 1
            return
        self._said += 1
        found = _ID.match(authorization or "")
        who = found[1] if found is not None else "nobody known" if authorization else "nobody"
        _log.info("refused: %s %s for %s: %d %s", method, path, who, status, problem)
