"""Asking a service's handler, so that one event which breaks it costs no other its answer. For every bus."""

import logging
from collections.abc import Sequence

from cludale.ports.bus import Answer, Delivery, Subscription
from cludale.ports.records import StoreUnavailable

_log = logging.getLogger(__name__)


async def answers_of(subscription: Subscription, deliveries: Sequence[Delivery]) -> Sequence[Answer]:
    """The handler's answers. When a batch breaks it, each is tried alone, so that one can't hold up the rest.

    Raises StoreUnavailable: no event is to blame for that.
    """
    try:
        answers = await subscription.handler(deliveries)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - a handler's failure is an answer: RETRY, up to the limit
        if len(deliveries) == 1:
            event = deliveries[0].event
            _log.warning("%s: %s %s: %r", subscription.service, event.type, event.id, error, exc_info=error)
            return [Answer.RETRY]
    else:
        if len(answers) == len(deliveries):
            return answers
        _log.error("%s: %d answers to %d deliveries", subscription.service, len(answers), len(deliveries))
        if len(deliveries) == 1:
            return [Answer.RETRY]
    return [(await answers_of(subscription, [delivery]))[0] for delivery in deliveries]
