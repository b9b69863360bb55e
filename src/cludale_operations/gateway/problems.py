"""What HAProxy answers for us when no service has."""

from collections.abc import Mapping

from cludale.kernel.refusals import Busy, NotFound, Refusal
from cludale.web.problems import BadRequest, BodyTooLarge, RequestTimeout, Statuses


class NoBackend(Busy):
    """Nothing that could take the request is up, or all of it has as many requests as it can. It was not begun."""

    def __init__(self) -> None:
        super().__init__("Nothing that could take this is up and free just now; nothing was done. Ask again.")


class NoSuchLabel(NotFound):
    """No revision can have the label that `x-cludale-label` asks for; there are `blue` and `green`."""

    def __init__(self) -> None:
        super().__init__("label", "in x-cludale-label")


class BrokeOff(Refusal):
    """The service broke off before it had answered. What was asked may have been done or not.

    Ask again with the same Idempotency-Key, or look first: the gateway does not ask twice what may have been done.
    """

    def __init__(self) -> None:
        super().__init__("The service broke off before it had answered; what was asked may have been done or not.")


class NoAnswerInTime(Refusal):
    """The service did not answer in time. What was asked may have been done, or be done yet.

    Ask again with the same Idempotency-Key, or look first.
    """

    def __init__(self) -> None:
        super().__init__("The service gave no answer in time; what was asked may have been done or not.")


STATUS: Statuses = {BrokeOff: 502, NoBackend: 503, NoAnswerInTime: 504}


def by_status(body_bytes: int) -> Mapping[int, Exception]:
    """What is meant by each status that HAProxy answers with by itself."""
    return {
        400: BadRequest("This is no HTTP request, or its head is too large."),
        408: RequestTimeout(),
        413: BodyTooLarge(body_bytes),
        502: BrokeOff(),
        503: NoBackend(),
        504: NoAnswerInTime(),
    }
