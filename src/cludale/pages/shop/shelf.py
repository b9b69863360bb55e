"""Finished answers for everybody, by what the requests for them say, for as long as they hold. No I/O.

Only requests without cookies are answered from here: whoever has a language that they chose, a basket or an order is
answered by the page itself.
"""

from collections.abc import Callable

from cludale.runtime.recent import Recent
from cludale.web.responses import Response, Source
from cludale.web.routing import Request

MOST = 512
_Key = tuple[str | bytes | None, ...]


class Shelf:
    """Those of one route that were made last."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: seconds that never go back."""
        self._clock = clock
        self._kept: Recent[_Key, Response] = Recent(MOST)

    def ready(self, request: Request) -> Response | None:
        """The answer, if there is one that holds."""
        kept = None if b"cookie" in request.headers else self._kept.get(_key(request))
        if kept is None or self._clock() >= kept.same_until or (kept.source is not None and kept.source.is_over):
            return None
        return kept

    def keep(self, request: Request, response: Response, *, until: float, source: Source) -> Response:
        """The answer. Everybody who asks the same gets it until then, or until its source is over; unless it is
        somebody's own.
        """
        if b"cookie" in request.headers or response.status != 200 or dict(response.headers).get("set-cookie"):
            return response
        kept = response._replace(same_until=until, source=source)
        self._kept.remember({_key(request): kept})
        return kept


def _key(request: Request) -> _Key:
    """All that a page for everybody looks at."""
    headers = request.headers
    return (
        request.segment,
        request.query,
        headers.get(b"host"),
        headers.get(b"accept-language"),
        headers.get(b"accept-encoding"),
        headers.get(b"x-forwarded-proto"),
    )
