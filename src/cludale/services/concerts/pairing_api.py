"""Pairing over HTTP: the organizer has a code made, the device swaps it for its key."""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from cludale.kernel.ids import Id
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, Invalid, NotFound
from cludale.ports.programme import ConcertDetails
from cludale.services.concerts import pairings as domain
from cludale.services.concerts.key_api import MadeKey, made_key, new_key
from cludale.services.concerts.keys import TooManyKeys
from cludale.services.concerts.pairing_service import PairingService
from cludale.services.concerts.pairings import ALPHABET, Code, Pairing, PairingRefused, TooManyPairings
from cludale.web.fields import Text, Time, parsed_time
from cludale.web.problems import Statuses
from cludale.web.responses import Response, json_response
from cludale.web.routing import TRACEPARENT, Owned, Reply, Request, asking, route

STATUS: Statuses = {PairingRefused: 403, TooManyPairings: 409}
CODE_SECONDS = 600.0


class OfferPairing(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A device to be."""

    name: Text
    concert_id: Id
    seconds: Annotated[float, Meta(ge=30, le=3_600, description="for how long the code is good")] = CODE_SECONDS
    key_ends_at: Annotated[Time | None, Meta(description="until when the device's key is good")] = None


class PairingCode(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A code for one device."""

    code: Annotated[str, Meta(description="three groups of four; shown only here, and good once")]
    name: str
    concert_id: str
    ends_at: datetime


class SwapCode(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A code as it was typed in."""

    code: Annotated[str, Meta(max_length=40, description="in either case, with or without its dashes")]


class PairingApi:
    """The routes of pairing."""

    def __init__(
        self,
        pairing: PairingService,
        digest: Callable[[str], str],
        concerts: Callable[[Sequence[str]], Awaitable[Mapping[str, ConcertDetails]]],
    ) -> None:
        self._pairing = pairing
        self._digest = digest
        self._concerts = concerts

    @route(
        "POST",
        "/concerts/-/door/codes",
        scope=Scope.CATALOGUE,
        owned=Owned.HIDDEN,
        summary="Make a code that pairs a door device",
        description=(
            "The device swaps it, once, for a key with `door` for this concert alone. After five wrong guesses the "
            "code is of no use any more. The key is revoked as every other one."
        ),
        replies={201: Reply(PairingCode, "The code.")},
        refusals=(NotFound, TooManyPairings, Busy),
    )
    async def offer_pairing(self, request: Request, body: OfferPairing) -> Response:
        """201 the code."""
        principal = asking(request)
        concert = (await self._concerts((body.concert_id,))).get(body.concert_id)
        if concert is None or not principal.owns(concert.organizer, body.concert_id):
            raise NotFound("concert", body.concert_id)
        now = self._pairing.now()
        ends_at = None if body.key_ends_at is None else parsed_time("keyEndsAt", body.key_ends_at)
        if ends_at is not None and ends_at <= now:
            raise Invalid(("keyEndsAt", "must be in the future"))
        code = Code.read("".join(secrets.choice(ALPHABET) for _ in range(domain.FINDS + domain.SECRET)))
        until = domain.until(now, body.seconds)
        await self._pairing.offer(
            Pairing(
                finds=code.finds,
                digest=self._digest(f"code {code.whole}"),
                name=body.name,
                organizer=concert.organizer,
                concert_id=body.concert_id,
                ends_at=until,
                key_ends_at=ends_at,
            )
        )
        return json_response(
            PairingCode(code=str(code), name=body.name, concert_id=body.concert_id, ends_at=until), 201
        )

    @route(
        "POST",
        "/concerts/-/door/keys",
        headers=(TRACEPARENT,),
        summary="Swap a pairing code for the device's key",
        description="Once. The key is in this answer alone; if it gets lost, have another code made.",
        replies={201: Reply(MadeKey, "The device's key.")},
        refusals=(PairingRefused, TooManyKeys, Busy),
    )
    async def swap_code(self, request: Request, body: SwapCode) -> Response:
        """201 the key."""
        code = Code.read(body.code)
        key, new = new_key(self._digest)
        made = await self._pairing.swap(code.finds, self._digest(f"code {code.whole}"), new, request.cause)
        return made_key(made, key)
