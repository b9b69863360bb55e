"""Dead letters over HTTP: each service's own, below a path of the service, where no id can be (`/orders/-/…`)."""

from datetime import datetime
from typing import Annotated, Any, Self

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from msgspec import Meta

from cludale.http.access import Access
from cludale.http.answers import json_answer
from cludale.http.fields import moment
from cludale.http.paging import DEFAULT_LIMIT, After, Limit, Page
from cludale.http.problems import Unauthorized
from cludale.http.routing import ORGANIZER, JsonBody, organizer_only, refusals, respond
from cludale.kernel.refusals import Invalid, NotFound
from cludale.kernel.times import LONGEST_TIME
from cludale.kernel.wire import Codec, Malformed
from cludale.ports.bus import Answer, Deliver, Delivery
from cludale.ports.records import UnusableCursor
from cludale.runtime.dead_letters import DeadLetter, DeadLetters, LetterState

RETRY_LIMIT = 100

_TIME = {"format": "date-time"}


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


class Retried(msgspec.Struct, frozen=True, rename="camel"):
    """What came of delivering a letter again; it waits on unless the answer is SUCCESS."""

    id: str
    event_type: str
    event_id: str
    answer: Answer
    state: LetterState


class AllRetried(msgspec.Struct, frozen=True):
    """What came of each, in the order asked for."""

    items: list[Retried]


def routes(
    service: str, letters: DeadLetters, codec: Codec, deliver: Deliver, access: Access
) -> list[HTTPRouteHandler]:
    """The routes for one service's dead letters."""
    path = f"/{service}/-/dead-letters"
    shared: dict[str, Any] = {"guards": [organizer_only(access)], "security": ORGANIZER, "tags": [service]}

    @get(
        path,
        name=f"list_{service}_dead_letters",
        summary=f"List events that {service} could not handle",
        description="Oldest first; with `since` or `until` those buried then (`since <= buriedAt < until`).",
        responses=refusals({}, Unauthorized, Invalid, UnusableCursor),
        **shared,
    )
    async def list_letters(
        in_state: Annotated[LetterState | None, QueryParameter(name="state")] = None,
        since: Annotated[str | None, QueryParameter(name="since", max_length=LONGEST_TIME, schema_extra=_TIME)] = None,
        until: Annotated[str | None, QueryParameter(name="until", max_length=LONGEST_TIME, schema_extra=_TIME)] = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Response[Page[LetterView]]:
        found, following = await letters.find(
            service,
            state=in_state,
            since=None if since is None else moment("since", since),
            until=None if until is None else moment("until", until),
            after=after,
            limit=limit,
        )
        return respond(json_answer(Page([LetterView.of(each) for each in found], following)))

    @get(
        path + "/{letter_id:str}",
        name=f"show_{service}_dead_letter",
        summary="Show one of them",
        responses=refusals({}, Unauthorized, NotFound),
        **shared,
    )
    async def show_letter(letter_id: str) -> Response[LetterView]:
        return respond(json_answer(LetterView.of((await letters.letter(service, letter_id)).state)))

    @post(
        path + "/retry",
        name=f"retry_{service}_dead_letters",
        dto=JsonBody[LettersToRetry],
        return_dto=None,
        status_code=200,
        summary="Deliver them again",
        response_description="What the service answered.",
        description="The service knows what it has handled: nothing is applied twice.",
        responses=refusals({}, Unauthorized, NotFound, Invalid),
        **shared,
    )
    async def retry_letters(data: LettersToRetry) -> Response[AllRetried]:
        chosen = [await letters.letter(service, id) for id in dict.fromkeys(data.ids)]
        retried = []
        for each in chosen:  # one by one: what broke its handler once may break it again
            letter, answer = each.state, Answer.DROP
            try:
                event = codec.decode(letter.body)
            except Malformed:
                pass  # still none of our events
            else:
                (answer,) = await deliver(service, [Delivery(event, letter.body.encode(), letter.attempts + 1)])
            if answer is Answer.SUCCESS:
                letter = await letters.delivered(each)
            retried.append(Retried(letter.id, letter.event_type, letter.event_id, answer, letter.state))
        return respond(json_answer(AllRetried(retried)))

    return [list_letters, show_letter, retry_letters]
