"""The servers that an organizer has events posted to, and what they have to get, in runs that have webhooks.

What is promised: each event reaches each endpoint, and is marked so; who answers 410 gets nothing more once that is
stored, which it is in the end; what comes is signed by the newest secret. Signatures are checked here by the
specification's text.
"""

import asyncio
import hmac
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from cludale.kernel.events import Envelope
from cludale.kernel.principals import FIRST
from cludale.kernel.refusals import Busy
from cludale.kernel.wire import Codec
from cludale.ports.records import StoreUnavailable
from cludale.ports.webhooks import Answered, NotPosted
from cludale.services.notifications.events import WebhookStopped, WebhookStopReason
from cludale.services.notifications.webhooks import catalogue
from cludale.services.notifications.webhooks.deliveries import Status
from cludale.services.notifications.webhooks.service import Asked, Made, Webhooks
from cludale.services.notifications.webhooks.signing import Scheme
from cludale.services.notifications.webhooks.store import DELIVERIES
from cludale_proof.simulator.faults import Chaos, Fault
from cludale_proof.simulator.memory import Disk
from cludale_proof.simulator.network import NobodyThere

STAYS, ENDS = "https://stays.example/", "https://ends.example/"
GONE_AFTER = 5
"""How much the second server takes before it wants nothing any more."""
GRACE_SECONDS = 12.0
"""For how long a post that was under way may still come after its endpoint was stopped or got new secrets."""
CALL_SECONDS = 5.0

Ask = Callable[[Callable[[Webhooks], Awaitable[Any]]], Awaitable[Any]]
"""Asks whatever process has webhooks. Raises NobodyThere, and what it raises."""


class Receivers:
    """All of them, as a run has them."""

    def __init__(self, chaos: Chaos, codec: Codec, failed: Callable[[str], None]) -> None:
        self._chaos = chaos
        self._codec = codec
        self._failed = failed
        self.got: dict[tuple[str, str], int] = {}
        """URL and `webhook-id` → how often it was taken."""
        self.wanted: dict[str, str] = {}
        """`webhook-id` → what it is, of all that has to come."""
        self._is_there = False
        self._webhook_id = ""
        self._secret = ""
        self._known_at = 0.0
        """When the newest secret came; endless while it is being changed."""
        self._gone_at: float | None = None
        """When the second server first answered 410."""
        self._stopped_at: float | None = None
        """When that was stored. Until then the store may be away, or who was answered may die and nobody know of it."""

    def check(self, url: str) -> None:
        """Any URL will do."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        """Receive a webhook, and answer as an organizer's server may. Raises NotPosted."""
        chaos, id = self._chaos, headers["webhook-id"]
        now = asyncio.get_running_loop().time()
        if url == STAYS and now > self._known_at + GRACE_SECONDS and not self._is_signed(body, headers):
            self._failed(f"{id} is not signed with the newest secret, known for {now - self._known_at:.1f} s")
        if url == ENDS and self._stopped_at is not None and now > self._stopped_at + GRACE_SECONDS:
            self._failed(f"{id} is posted to {url}, which was stopped {now - self._stopped_at:.1f} s ago")
        await chaos.lag()
        if chaos.strikes(Fault.WEBHOOK_AWAY, "servers", id):
            raise NotPosted("no connection")
        if chaos.strikes(Fault.WEBHOOK_TROUBLE, "servers", id):
            return Answered(503)
        if url == ENDS and sum(times for (to, _), times in self.got.items() if to == ENDS) >= GONE_AFTER:
            self._gone_at = self._gone_at or now
            return Answered(410)
        self.got[url, id] = self.got.get((url, id), 0) + 1
        if chaos.strikes(Fault.WEBHOOK_UNANSWERED, "servers", id):
            raise NotPosted("the connection broke off")
        return Answered(204)

    def _is_signed(self, body: bytes, headers: Mapping[str, str]) -> bool:
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        made = hmac.digest(b64decode(self._secret.removeprefix("whsec_")), content, "sha256")
        return f"v1,{b64encode(made).decode()}" in headers["webhook-signature"].split(" ")

    async def come(self, ask: Ask) -> None:
        """Before anything is sold: two endpoints, one of which has enough one day."""
        made: list[Made] = []
        for url in (STAYS, ENDS):
            asked = Asked(url, (Scheme.HMAC, Scheme.ED25519), (), None, None, None)
            made.append(await ask(partial(_create, asked)))
        self._webhook_id, self._secret = made[0].endpoint.id, made[0].secrets.hmac or ""
        self._is_there = True

    async def change_secrets(self, ask: Ask, *, after: float, overlap: float) -> None:
        """At some time, until it has been answered: then the new ones are known."""
        await asyncio.sleep(after)
        self._known_at = float("inf")
        while True:
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    made = await ask(
                        lambda webhooks: webhooks.rotate(FIRST, self._webhook_id, overlap=timedelta(seconds=overlap))
                    )
            except (NobodyThere, StoreUnavailable, Busy, TimeoutError):
                await asyncio.sleep(1.0)
                continue
            self._secret = made.secrets.hmac or ""
            self._known_at = asyncio.get_running_loop().time()
            return

    def happened(self, event: Envelope) -> None:
        """It has to come, if servers are told of such; or says that a server gets nothing more."""
        if isinstance(event.data, WebhookStopped) and event.data.reason is WebhookStopReason.GONE:
            self._stopped_at = self._stopped_at or asyncio.get_running_loop().time()
        message = catalogue.message(event, self._codec.encode(event)) if self._is_there else None
        if message is not None:
            self.wanted.setdefault(message.id, f"{event.type} {event.id}")

    def missed(self, disk: Disk) -> list[str]:
        """What the server that stays never got, and what it got without a delivery that says so, once all is over."""
        if not self._is_there:
            return []
        rows = disk.tables[DELIVERIES.kind].values()
        kept = [DELIVERIES.decode(row.stored.body) for row in rows]
        marked = {each.message_id for each in kept if each.status is Status.DELIVERED}
        found = [f"{what} was never posted" for id, what in self.wanted.items() if (STAYS, id) not in self.got]
        found += [
            f"{what} was taken, and no delivery says so"
            for id, what in self.wanted.items()
            if (STAYS, id) in self.got and id not in marked
        ]
        if self._gone_at is not None and self._stopped_at is None:
            found.append(f"{ENDS} answered 410 at {self._gone_at:.1f} s, and is not stopped")
        if self._gone_at is None and len(self.wanted) > 10 * GONE_AFTER:
            found.append(f"{ENDS} got too little to have enough")
        return found


async def _create(asked: Asked, webhooks: Webhooks) -> Made:
    return await webhooks.create("default", asked, by="first")
