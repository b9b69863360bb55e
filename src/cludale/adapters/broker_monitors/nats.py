"""How many events a NATS server has for a service that the service has not answered.

Its monitoring (`http:` in its configuration) knows no login.
"""

from collections.abc import Collection, Iterator

import msgspec

from cludale.adapters.broker_monitors.http_monitor import HttpMonitor

PATH = "/jsz?consumers=true"


class _Consumer(msgspec.Struct):
    name: str
    num_pending: int = 0
    num_ack_pending: int = 0


class _Stream(msgspec.Struct):
    consumer_detail: list[_Consumer] = []


class _Account(msgspec.Struct):
    stream_detail: list[_Stream] = []


class _JetStream(msgspec.Struct):
    account_details: list[_Account] = []


class NatsMonitor(HttpMonitor):
    """Implements BrokerMonitor."""

    def __init__(self, url: str, consumers: Collection[str]) -> None:
        """`url`: of the server's monitoring, `http://nats:8222`; `consumers`: the service's, by name.

        Raises ValueError for what is no address.
        """
        super().__init__(url, PATH, consumers, _waiting, setting="CLUDALE_NATS_MONITOR_URL")


def _waiting(answer: bytes) -> Iterator[tuple[str, int]]:
    for account in msgspec.json.decode(answer, type=_JetStream).account_details:
        for stream in account.stream_detail:
            for each in stream.consumer_detail:
                # What was delivered and not answered is on the server still: it is in `num_ack_pending` alone.
                yield each.name, each.num_pending + each.num_ack_pending
