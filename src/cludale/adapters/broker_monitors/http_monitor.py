"""Asks a broker's monitoring over HTTP how many events a service has not answered. Each broker tells it its own way."""

from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec

from cludale.ports.broker_monitor import NotKnown
from cludale.web.client import Client, NoAnswer
from cludale.web.http1 import Target
from cludale.web.trust import trust_named_in

ANSWER_SECONDS = 2.0

Waiting = Callable[[bytes], Iterable[tuple[str, int]]]
"""Reads an answer: the name of each queue or consumer, and how many events wait there. Raises msgspec.MsgspecError."""


class HttpMonitor:
    """Implements BrokerMonitor for a broker that answers `path` with its queues or consumers."""

    def __init__(
        self,
        url: str,
        path: str,
        names: Collection[str],
        waiting: Waiting,
        *,
        setting: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`names`: the service's own queues or consumers. `url` may say whom to trust there (`cacertfile`). `setting`:
        where the address comes from, and a login with it.

        Raises ValueError for what is no address, OSError for a certificate that can't be read.
        """
        trust = trust_named_in(url)
        self._client = Client(
            Target.of(url), connections=1, timeout_seconds=ANSWER_SECONDS, headers=headers, trust=trust
        )
        self._path = path
        self._setting = setting
        self._names = frozenset(names)
        self._waiting = waiting

    async def waiting(self) -> int | None:
        """Events that were not delivered, or not acknowledged; None: the broker has none of these names.

        Raises NotKnown.
        """
        try:
            answer = await self._client.ask("GET", self._path, repeatable=True)
            if answer.status in (401, 403):
                raise NotKnown(f"the broker's monitoring does not let this process in: see {self._setting}")
            if answer.status != 200:
                raise NotKnown(f"the broker's monitoring answered {answer.status}")
            mine = [count for name, count in self._waiting(answer.body) if name in self._names]
        except (NoAnswer, msgspec.MsgspecError) as error:
            raise NotKnown(str(error)) from error
        return sum(mine) if mine else None

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()
