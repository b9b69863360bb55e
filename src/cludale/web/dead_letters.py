"""Dead letters over HTTP: each service's own, below a path of the service, where no id can be (`/orders/-/…`)."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from cludale.kernel.principals import Scope
from cludale.kernel.refusals import NotFound
from cludale.kernel.wire import Codec, Malformed
from cludale.ports.bus import Acknowledgement, Deliver, Delivery
from cludale.runtime.aggregates import Versioned
from cludale.runtime.dead_letters import DeadLetter, DeadLetters, LetterState
from cludale.web.access import Access
from cludale.web.fields import TimeParameter, moment
from cludale.web.queries import Page, Paged
from cludale.web.responses import Response, json_response
from cludale.web.routing import Reply, Request, Route, route, routes_of

RETRY_LIMIT = 100


class LetterView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A delivery that was given up."""

    id: str
    consumer: str
    event_type: str
    event_id: str
    reason: str
    attempts: int
    buried_at: datetime
    state: LetterState
    body: Annotated[str, Meta(description="the event as it was on the wire")]

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        """The view of a letter."""
        return cls(**{field: getattr(letter, field) for field in cls.__struct_fields__})


class LettersToRetry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which letters to deliver again."""

    ids: Annotated[list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(min_length=1, max_length=RETRY_LIMIT)]


class LetterRetried(msgspec.Struct, frozen=True, rename="camel"):
    """What came of delivering a letter again; it waits on unless the answer is SUCCESS."""

    id: str
    event_type: str
    event_id: str
    answer: Acknowledgement
    state: LetterState


class AllRetried(msgspec.Struct, frozen=True):
    """What came of each, in the order asked for."""

    items: list[LetterRetried]


class FindLetters(Paged, frozen=True, kw_only=True):
    """Which letters to list."""

    state: LetterState | None = None
    since: TimeParameter | None = None
    until: TimeParameter | None = None


class DeadLettersApi:
    """The routes for one service's dead letters."""

    def __init__(self, service: str, letters: DeadLetters, codec: Codec, deliver: Deliver) -> None:
        self._service = service
        self._letters = letters
        self._codec = codec
        self._deliver = deliver

    @route(
        "GET",
        "/{service}/-/dead-letters",
        scope=Scope.OPERATE,
        summary="List events that {service} could not handle",
        description="Oldest first; with `since` or `until` those buried then (`since <= buriedAt < until`).",
        replies={200: Reply(Page[LetterView])},
    )
    async def list_dead_letters(self, _: Request, query: FindLetters) -> Response:
        """A page of them."""
        found, following = await self._letters.find(
            self._service,
            state=query.state,
            since=moment("since", query.since),
            until=moment("until", query.until),
            after=query.after,
            limit=query.limit,
        )
        return json_response(Page([LetterView.of(each) for each in found], following))

    @route(
        "GET",
        "/{service}/-/dead-letters/{letter_id}",
        scope=Scope.OPERATE,
        summary="Show one of them",
        replies={200: Reply(LetterView)},
        refusals=(NotFound,),
    )
    async def show_dead_letter(self, request: Request) -> Response:
        """One of them."""
        return json_response(LetterView.of((await self._letters.letter(self._service, request.segment)).state))

    @route(
        "POST",
        "/{service}/-/dead-letters/retry",
        scope=Scope.OPERATE,
        summary="Deliver them again",
        description="The service knows what it has handled: nothing is applied twice.",
        replies={200: Reply(AllRetried, "What the service answered.")},
        refusals=(NotFound,),
    )
    async def retry_dead_letters(self, _: Request, body: LettersToRetry) -> Response:
        """What came of each. One by one: what broke its handler once may break it again."""
        chosen = [await self._letters.letter(self._service, id) for id in dict.fromkeys(body.ids)]
        return json_response(AllRetried([await self._retried(each) for each in chosen]))

    async def _retried(self, stored: Versioned[DeadLetter]) -> LetterRetried:
        letter, answer = stored.state, Acknowledgement.DROP
        try:
            event = self._codec.decode(letter.body)
        except Malformed:
            pass  # still none of our events
        else:
            delivery = Delivery(event, letter.body.encode(), letter.attempts + 1)
            (answer,) = await self._deliver(self._service, [delivery])
        if answer is Acknowledgement.SUCCESS:
            letter = await self._letters.delivered(stored)
        return LetterRetried(letter.id, letter.event_type, letter.event_id, answer, letter.state)


def routes(service: str, letters: DeadLetters, codec: Codec, deliver: Deliver, access: Access) -> list[Route]:
    """The routes for one service's dead letters."""
    api = DeadLettersApi(service, letters, codec, deliver)
    return [
        replace(
            each,
            path=each.path.replace("{service}", service),
            name=each.name.replace("dead", f"{service}_dead"),
            summary=each.summary.replace("{service}", service),
        )
        for each in routes_of(api, tag=service, access=access)
    ]
