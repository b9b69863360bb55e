"""Holds that orders, in a process of its own, asks for at one moment: one call for all. Decides nothing."""

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from cludale.ports.seats import MOST_HOLDS_APART, HoldRequest, SeatsHeld
from cludale.services.concerts.service import Concerts
from cludale.web.problems import Problems
from cludale.web.responses import Response, json_response
from cludale.web.routing import Credential, Request, route

BODY_BYTES = 512 * 1024


class HoldApart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds of several orders that have nothing to do with each other."""

    holds: Annotated[list[HoldRequest], msgspec.Meta(min_length=1, max_length=MOST_HOLDS_APART)]


class HoldAnswer(msgspec.Struct, frozen=True):
    """What is held, or the problem that the hold would have been answered with alone."""

    held: SeatsHeld | UnsetType = UNSET
    problem: msgspec.Raw | UnsetType = UNSET


class HoldAnswers(msgspec.Struct, frozen=True):
    """In the order of the holds."""

    answers: list[HoldAnswer]


class HoldsApi:
    """The route of holds that come together."""

    def __init__(self, concerts: Concerts, problems: Problems) -> None:
        """`problems`: the answers to what `hold` refuses."""
        self._concerts = concerts
        self._problems = problems

    @route(
        "POST", "/concerts/-/holds/apart", credential=Credential.SERVICE, callers=("orders",), max_body_bytes=BODY_BYTES
    )
    async def hold_apart(self, _: Request, body: HoldApart) -> Response:
        """200 an answer for each, whatever became of the others."""
        results = await self._concerts.holding.reserve_apart(body.holds)
        return json_response(HoldAnswers([self._answer(each) for each in results]))

    def _answer(self, result: SeatsHeld | Exception) -> HoldAnswer:
        if isinstance(result, SeatsHeld):
            return HoldAnswer(result)
        return HoldAnswer(problem=msgspec.Raw(self._problems.answer(result).body))
