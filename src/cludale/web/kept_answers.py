"""Answers that are the same for everybody, kept for as long as they hold, under the bytes of the request.

All that an answer may depend on (address, language, cookies, what the client has already) is in those bytes, so a
request that differs in any of it never gets it. A request that is found here is not even parsed. No I/O.
"""

from collections.abc import Callable, Mapping, MutableMapping
from typing import NamedTuple

from cludale.web.responses import Response, Source

MOST = 2_048
"""Answers kept at once; more are made anew, until some are too old."""
MOST_HEAD_BYTES = 2_048
MOST_ANSWER_BYTES = 65_536
_MORE_THAN_A_HEAD = (b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"cookie", b"authorization")
"""Requests that say one of these are somebody's own, or are more than a head."""

Counted = tuple[str, str, int]
"""Method, route and status."""


class _Kept(NamedTuple):
    sent: bytes
    until: float
    source: Source | None
    counted: Counted


class KeptAnswers:
    """A bounded number of them."""

    def __init__(self, again: MutableMapping[Counted, int], *, clock: Callable[[], float]) -> None:
        """`again` counts requests that were answered from here; `clock`: seconds that never go back."""
        self._again = again
        self._clock = clock
        self._kept: dict[bytes, _Kept] = {}

    def __len__(self) -> int:
        """Answers that are kept."""
        return len(self._kept)

    def find(self, received: bytes) -> bytes | None:
        """What to send to whoever sent exactly this."""
        kept = self._kept.get(received)
        if kept is None or kept.until <= self._clock() or (kept.source is not None and kept.source.is_over):
            return None
        self._again[kept.counted] += 1
        return kept.sent

    def keep(
        self, received: bytes, headers: Mapping[bytes, bytes], sent: bytes, response: Response, counted: Counted
    ) -> None:
        """Keep it, if `received` is one whole head and nothing else, and nobody's own."""
        if (
            len(self._kept) < MOST
            and len(received) <= MOST_HEAD_BYTES
            and len(sent) <= MOST_ANSWER_BYTES
            and counted[0] == "GET"
            and received.find(b"\r\n\r\n") == len(received) - 4
            and not any(name in headers for name in _MORE_THAN_A_HEAD)
        ):
            self._kept[received] = _Kept(sent, response.same_until, response.source, counted)

    def sweep(self) -> None:
        """Forget the answers that are no longer good."""
        now = self._clock()
        for received, kept in list(self._kept.items()):
            if kept.until <= now:
                del self._kept[received]
