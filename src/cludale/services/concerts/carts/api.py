"""Holds for a whole cart or a list of guests, for orders in a process of its own. Decides nothing."""

from typing import Annotated

import msgspec

from cludale.ports.seats import MOST_HOLDS, HoldRequest, LineRefused, OtherOrganizer, SeatsHeld
from cludale.services.concerts.service import Concerts
from cludale.web.problems import Problems, Statuses
from cludale.web.responses import Response, json_response
from cludale.web.routing import Credential, Request, route

STATUS: Statuses = {OtherOrganizer: 422}


BODY_BYTES = 512 * 1024


class HoldAll(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The holds that are wanted together, in the order of their lines."""

    holds: Annotated[list[HoldRequest], msgspec.Meta(min_length=1, max_length=MOST_HOLDS)]


class AllHeld(msgspec.Struct, frozen=True):
    """What is held, in the order of the lines."""

    held: list[SeatsHeld]


class CartHoldsApi:
    """The route of carts."""

    def __init__(self, concerts: Concerts, problems: Problems) -> None:
        """`problems`: the answers to what `hold` refuses."""
        self._concerts = concerts
        self._problems = problems

    @route("POST", "/concerts/-/holds", credential=Credential.SERVICE, callers=("orders",), max_body_bytes=BODY_BYTES)
    async def hold_all(self, _: Request, body: HoldAll) -> Response:
        """200 all are held; else the problem of the line that was refused, with its number from 0 as `line`."""
        try:
            held = await self._concerts.holding.reserve_all(body.holds)
        except LineRefused as refused:
            refused.refusal.values["line"] = refused.line
            if refused.also:
                refused.refusal.values["alsoRefused"] = refused.also
            return self._problems.answer(refused.refusal)
        return json_response(AllHeld(list(held)))
