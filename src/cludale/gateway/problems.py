"""What the gateway itself answers when there is nothing else to answer."""

from cludale.http.problems import Statuses, Unauthorized
from cludale.kernel.refusals import Busy, NotFound, Refusal


class NoBackend(Busy):
    """Nothing that could take the request is up just now. It was not begun: ask again."""

    def __init__(self, service: str) -> None:
        super().__init__(f"Nothing of {service} is up just now; nothing was done. Ask again.")


class BackendsFull(Busy):
    """All who could take the request have as many as they can. It was not begun: ask again."""

    def __init__(self, service: str) -> None:
        super().__init__(f"{service} has as many requests as it can take; nothing was done. Ask again.")


class NoSuchLabel(NotFound):
    """No revision has the label that `x-cludale-label` asks for."""

    def __init__(self, label: str) -> None:
        super().__init__("label", label)


class BrokeOff(Refusal):
    """The service broke off before it had answered. What was asked may have been done or not.

    Ask again with the same Idempotency-Key, or look first: the gateway does not ask twice what may have been done.
    """

    def __init__(self, service: str) -> None:
        super().__init__(f"{service} broke off before it had answered; what was asked may have been done or not.")


class NoAnswerInTime(Refusal):
    """The service did not answer in time. What was asked may have been done, or be done yet.

    Ask again with the same Idempotency-Key, or look first.
    """

    def __init__(self, service: str, seconds: float) -> None:
        super().__init__(f"{service} gave no answer in {seconds:g} s; what was asked may have been done or not.")


class TokenNeeded(Unauthorized):
    """This is for whoever runs the gateway: send `Authorization: Bearer <gateway token>`."""

    def __init__(self) -> None:
        Refusal.__init__(self, "This needs the gateway's token: Authorization: Bearer <token>.")


class RoutesChanged(Refusal):
    """The routes are others than those that `If-Match` names: read them again, then change them."""

    def __init__(self) -> None:
        super().__init__("The routes have changed meanwhile; read them again.")


STATUS: Statuses = {BrokeOff: 502, NoBackend: 503, BackendsFull: 503, NoAnswerInTime: 504, RoutesChanged: 412}
