"""What HAProxy answers for us when no service has."""

from collections.abc import Mapping

from cludale.kernel.refusals import Busy, NotFound, Refusal
from cludale.web.problems import BadRequest, BodyTooLarge, RequestTimeout, Statuses


class NoBackend(Busy):
    """No server is up that can take the request, or all of them are full. The request was not begun."""

    def __init__(self) -> None:
        super().__init__("No server is available; nothing was done. Try again.")


class NoSuchLabel(NotFound):
    """No revision can have the label that `x-cludale-label` asks for; there are `blue` and `green`."""

    def __init__(self) -> None:
        super().__init__("label", "in x-cludale-label")


class BrokeOff(Refusal):
    """The connection to the service was closed before it answered. The request may have been carried out or not.

    Try again with the same Idempotency-Key, or look first: the gateway sends no request twice that may have been
    carried out.
    """

    def __init__(self) -> None:
        super().__init__(
            "The service closed the connection before it answered; the request may have been carried out or not."
        )


class NoAnswerInTime(Refusal):
    """The service did not answer in time. The request may have been carried out, or may still be.

    Try again with the same Idempotency-Key, or look first.
    """

    def __init__(self) -> None:
        super().__init__("The service did not answer in time; the request may have been carried out or not.")


STATUS: Statuses = {BrokeOff: 502, NoBackend: 503, NoAnswerInTime: 504}


def by_status(body_bytes: int) -> Mapping[int, Exception]:
    """What is meant by each status that HAProxy answers with by itself."""
    return {
        400: BadRequest("The request is not valid HTTP, or its head is too large."),
        408: RequestTimeout(),
        413: BodyTooLarge(body_bytes),
        502: BrokeOff(),
        503: NoBackend(),
        504: NoAnswerInTime(),
    }
