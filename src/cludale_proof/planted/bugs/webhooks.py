"""Events that are posted to organizers' servers."""

from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import msgspec

from cludale.ports.bus import Acknowledgement
from cludale.services.notifications.webhooks import deliveries as webhook_deliveries
from cludale.services.notifications.webhooks import due as webhook_due
from cludale.services.notifications.webhooks import endpoints as webhook_endpoints
from cludale.services.notifications.webhooks.service import Webhooks
from cludale_proof.planted.planting import bug, swap


@bug("webhooks: a delivery whose posting a crash cut off is never posted", theme="webhooks")
def _(stack: ExitStack) -> None:
    right = webhook_deliveries.take_up

    def wrong(delivery: Any, *, now: datetime, **kwargs: Any) -> Any:
        taken = right(delivery, now=now, **kwargs)
        if taken is delivery or taken.due_at is None:
            return taken
        return msgspec.structs.replace(taken, due_at=now + timedelta(days=365))

    swap(stack, webhook_deliveries, "take_up", wrong)


@bug("webhooks: a delivery that its server did not take is taken for delivered", theme="webhooks")
def _(stack: ExitStack) -> None:
    def wrong(delivery: Any, answer: Any, why: str, *, now: datetime, limits: Any, **_: Any) -> Any:
        return webhook_deliveries.delivered(delivery, answer, now=now, limits=limits)

    swap(stack, webhook_deliveries, "not_delivered", wrong)


@bug("webhooks: who answers 410 is asked again", theme="webhooks")
def _(stack: ExitStack) -> None:
    swap(stack, webhook_due, "GONE", 0)


@bug("webhooks: new secrets are kept, and deliveries go on with the old ones", theme="webhooks")
def _(stack: ExitStack) -> None:
    right = webhook_endpoints.rotate

    def wrong(endpoint: Any, sealed: Any, *args: Any, **kwargs: Any) -> Any:
        return right(endpoint, endpoint.sealed, *args, **kwargs)

    swap(stack, webhook_endpoints, "rotate", wrong)


@bug("webhooks: an event that comes while nobody knows whose it is is dropped", theme="webhooks")
def _(stack: ExitStack) -> None:
    right = Webhooks.handle

    async def wrong(self: Any, arrived: Any) -> Any:
        return [Acknowledgement.SUCCESS] * len(await right(self, arrived))

    swap(stack, Webhooks, "handle", wrong)
