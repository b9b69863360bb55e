"""What is due for a schedule is its report: made, and sent by mail, as an attachment or, if it is large, as a link.

A report is claimed by one replica, so it is made and sent once a period. If that replica dies between sending and
writing that down, it is sent again once the claim's lease is over, under the same Message-ID.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from cludale.kernel.decision import Decision
from cludale.kernel.refusals import Refusal
from cludale.ports.clock import Clock
from cludale.ports.messengers import Attachment, HandedTo, Mailer, NotSent, Trouble
from cludale.ports.records import StoreUnavailable
from cludale.ports.seals import CannotOpen, Seals
from cludale.runtime.due import Do, DuePolicy, PutOff, Step
from cludale.services.orders.reports import links, schedules, words
from cludale.services.orders.reports.links import Link
from cludale.services.orders.reports.schedules import Schedule
from cludale.services.orders.reports.service import Reports
from cludale.services.orders.reports.sheets import MEDIA_TYPES

AT_ONCE = 2
"""Reports that are made at once."""
ATTEMPT_SECONDS = 900.0
"""How long reading, writing and sending one may take."""
LEASE_SECONDS = ATTEMPT_SECONDS + 60
ATTACHED_BYTES = 5 * 2**20
"""A larger one is fetched by a link: many servers take no message over 10 MB, and base64 adds a third."""

_log = logging.getLogger(__name__)


class Mailing(DuePolicy[Schedule]):
    """Sends reports."""

    def __init__(
        self,
        reports: Reports,
        *,
        clock: Clock,
        seals: Seals,
        mailer: Mailer,
        send_seconds: float,
        put_off: PutOff,
        public_url: str | None,
    ) -> None:
        """`public_url`: where links lead; None: a report that is too large is only told of."""
        self._reports = reports
        self._clock = clock
        self._seals = seals
        self._mailer = mailer
        self._send_seconds = send_seconds
        self._put_off = put_off
        self._public_url = public_url
        self.sent = 0
        """Reports that were handed over."""
        self.failed = 0
        """Tries that came to nothing."""

    def take_up(self, state: Schedule, now: datetime) -> Decision[Schedule]:
        """It is claimed."""
        return Decision(schedules.take_up(state, now=now, until=now + timedelta(seconds=LEASE_SECONDS)))

    async def start(self, _: Sequence[Schedule]) -> Do[Schedule]:
        """Each is made by itself."""
        return self._do

    def no_answer(self, state: Schedule, why: str) -> Step[Schedule]:
        """It may have been sent; it is sent again, under the same Message-ID."""
        return self._again(state, why)

    async def _do(self, schedule: Schedule) -> Step[Schedule]:
        if schedule.to is None:
            return lambda now_kept, _: Decision(now_kept)
        try:
            to = self._seals.open(schedule.to, schedule.id).decode()
            message = words.message(schedule, to, await self._content(schedule), self._link(schedule))
            async with asyncio.timeout(self._send_seconds):
                handed = await self._mailer.send(message)
        except NotSent as not_sent:
            if not_sent.trouble is Trouble.REFUSED:
                return self._given_up(schedule, "the mail server refuses it")
            return self._again(schedule, f"the mail server does not take it now ({not_sent.trouble.value})")
        except CannotOpen:
            return self._given_up(schedule, "its address is under another master key")
        except (Refusal, StoreUnavailable, TimeoutError) as trouble:
            return self._again(schedule, str(trouble) or "no answer in time")
        self.sent += 1
        was_logged = handed is HandedTo.LOG
        return lambda kept, now: schedules.sent(kept, schedule.next_at, now=now, was_logged=was_logged)

    async def _content(self, schedule: Schedule) -> Attachment | None:
        """The file; None: it is larger than a mail should be."""
        content = bytearray()
        chunks = self._reports.scheduled(schedule, schedule.next_at)
        try:
            async for chunk in chunks:
                content += chunk
                if len(content) > ATTACHED_BYTES:
                    return None
        finally:
            await chunks.aclose()
        maintype, _, subtype = MEDIA_TYPES[schedule.format].partition(";")[0].partition("/")
        parameters = {"charset": "utf-8"} if maintype == "text" else {}
        return Attachment(words.file_name(schedule, schedule.next_at), maintype, subtype, bytes(content), parameters)

    def _link(self, schedule: Schedule) -> str | None:
        if self._public_url is None:
            return None
        link = Link(schedule.id, schedule.next_at, self._clock.now() + links.GOOD_FOR)
        return f"{self._public_url.rstrip('/')}/orders/reports/files/{links.token_of(link, self._seals)}"

    def _again(self, schedule: Schedule, why: str) -> Step[Schedule]:
        self.failed += 1
        again_at = self._put_off(max(1, schedule.tries), self._clock.now())
        _log.warning("report %s waits until %s: %s", schedule.id, again_at, why)
        return partial(_not_sent, at=schedule.next_at, why=why, again_at=again_at)

    def _given_up(self, schedule: Schedule, why: str) -> Step[Schedule]:
        self.failed += 1
        _log.error("report %s of %s was given up: %s", schedule.id, schedule.next_at, why)
        return partial(_not_sent, at=schedule.next_at, why=why, again_at=None)


def _not_sent(
    kept: Schedule, now: datetime, *, at: datetime, why: str, again_at: datetime | None
) -> Decision[Schedule]:
    return schedules.not_sent(kept, at, why, now=now, again_at=again_at)
