"""What a buyer reads, for every reason that there is."""

import pytest
from tests.fakes import NOON
from tests.services.notifications.test_notifications import cancelled

from cludale.kernel.events import Cause
from cludale.services.notifications.domain import message, summary, tell
from cludale.services.orders.events import CancelReason


@pytest.mark.parametrize("reason", CancelReason)
def test_every_reason_for_a_cancellation_has_words(reason: CancelReason) -> None:
    notification = tell(cancelled(reason=reason).data, cause=Cause(), now=NOON).state
    assert "because" in summary(notification) or reason.is_wish
    assert summary(notification) in message(notification, "somebody@example.org").text
