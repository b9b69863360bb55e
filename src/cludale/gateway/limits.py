"""What the gateway lets clients and backends take."""

from typing import NamedTuple


class Limits(NamedTuple):
    """Bounds of everything, in seconds, bytes and counts."""

    body_bytes: int = 65_536
    head_bytes: int = 32_768
    connections: int = 4_096
    """Clients at once."""
    pipelined: int = 8
    """Requests that one client may send ahead."""
    request_seconds: float = 20
    """For a client to send one request, or to take in one answer."""
    idle_seconds: float = 65
    """How long a client's connection is kept that asks nothing."""
    connect_seconds: float = 1
    """For a connection to a backend."""
    answer_seconds: float = 60
    """For a backend to answer; longer than the longest `?wait=`."""
    waiting_seconds: float = 2
    """For a free connection, where a backend has all it may have."""
    backend_connections: int = 512
    """To one backend at once."""
    backend_waiting: int = 1_024
    """Requests that may wait for one of these."""
    backend_idle_seconds: float = 30
    """How long an unused connection to a backend is kept; less than the backend keeps it, so that it is still there."""
    check_every_seconds: float = 1
    check_seconds: float = 2
    """For a backend to say that it is ready."""
    breaks: int = 3
    """Broken answers in a row after which a backend has to say again that it is ready."""
    slow_checks: int = 3
    """Checks in a row without an answer after which a backend counts as gone: slow is not gone."""
    patrol_seconds: float = 0.5
    """How often times are looked at: they hold to within so much."""

    def ticks(self, seconds: float) -> int:
        """So many seconds in patrols."""
        return max(1, round(seconds / self.patrol_seconds))
