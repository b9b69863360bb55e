"""Figures over HTTP: each service's own of the last minutes, below a path of the service where no id can be.

A process answers for itself alone. Where a service has several, each answer says which one gave it (`instance`), and
steps begin at the same times everywhere, so whoever asks can add them up.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from cludale.kernel.principals import Scope
from cludale.runtime.history import STEP_SECONDS, Histories, is_counter
from cludale.runtime.readiness import Trouble
from cludale.web.access import Access
from cludale.web.metrics import parsed
from cludale.web.responses import NO_STORE, Response, json_response
from cludale.web.routing import Reply, Request, Route, route, routes_of


class Series(msgspec.Struct, frozen=True):
    """One figure, step by step, the oldest first."""

    name: Annotated[str, Meta(description="as at /metrics")]
    labels: dict[str, str]
    values: Annotated[
        list[float | None],
        Meta(description="of a counter what came in each step, else what it was at its end; null: not known"),
    ]


class Away(msgspec.Struct, frozen=True):
    """Something that the process needs, and that does not work."""

    part: str
    detail: str
    since: datetime


class FiguresView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The last minutes of one process of a service."""

    service: str
    instance: Annotated[str, Meta(description="which process; another one after a restart")]
    step_seconds: int
    until: Annotated[datetime | None, Meta(description="the end of the last step; null before the first")]
    series: list[Series]
    troubles: list[Away]


class Current:
    """The process that answers: which one it is, what it kept, and what does not work."""

    def __init__(self, histories: Histories, troubles: Callable[[], Sequence[Trouble]]) -> None:
        self.instance = secrets.token_hex(6)
        self.histories = histories
        self.troubles = troubles


class FiguresApi:
    """The route for one service's figures."""

    def __init__(self, service: str, current: Current) -> None:
        self._service = service
        self._current = current

    @route(
        "GET",
        "/{service}/-/figures",
        scope=Scope.OPERATE,
        summary="Show the last minutes of {service} in figures",
        description="Of the process that answers, in steps of five seconds, ten minutes at most.",
        replies={200: Reply(FiguresView)},
    )
    async def show_figures(self, _: Request) -> Response:
        """All that is kept."""
        history = self._current.histories.of(self._service)
        found = FiguresView(
            service=self._service,
            instance=self._current.instance,
            step_seconds=STEP_SECONDS,
            until=history.until,
            series=[
                Series(*parsed(written), [None if each is None else _short(written, each) for each in values])
                for written, values in history.series().items()
            ],
            troubles=[Away(each.part, each.detail, each.since) for each in self._current.troubles()],
        )
        return json_response(found)._replace(headers=NO_STORE)


def _short(name: str, value: float) -> float:
    return int(value) if is_counter(name) or value == int(value) else round(value, 3)


def routes(service: str, current: Current, access: Access) -> list[Route]:
    """The route for one service's figures."""
    return [
        replace(
            each,
            path=each.path.replace("{service}", service),
            name=f"show_{service}_figures",
            summary=each.summary.replace("{service}", service),
        )
        for each in routes_of(FiguresApi(service, current), tag=service, access=access)
    ]
