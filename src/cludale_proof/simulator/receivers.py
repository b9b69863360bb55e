"""The servers that organizers have their webhooks posted to, all of them, as a run has them."""

from collections.abc import Mapping

from cludale.ports.webhooks import Answered, NotPosted
from cludale_proof.simulator.faults import Chaos, Fault


class Receivers:
    """Take what is posted, or not. What each got is in `got`, by URL and `webhook-id`."""

    def __init__(self, chaos: Chaos) -> None:
        self._chaos = chaos
        self.got: dict[tuple[str, str], int] = {}

    def check(self, url: str) -> None:
        """Any URL will do."""

    async def post(self, url: str, _: bytes, headers: Mapping[str, str]) -> Answered:
        """Take it, or not. Raises NotPosted."""
        chaos, id = self._chaos, headers["webhook-id"]
        await chaos.lag()
        if chaos.strikes(Fault.WEBHOOK_AWAY, "servers", id):
            raise NotPosted("no connection")
        if chaos.strikes(Fault.WEBHOOK_TROUBLE, "servers", id):
            return Answered(503)
        self.got[url, id] = self.got.get((url, id), 0) + 1
        if chaos.strikes(Fault.WEBHOOK_UNANSWERED, "servers", id):
            raise NotPosted("the connection broke off")
        return Answered(204)
