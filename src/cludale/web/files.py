"""How many files a process may have open, which bounds how many connections it can have at once."""

import logging
import math
import resource

from cludale.web.open_connections import ConnectionLimits

SPARE_FILES = 256
"""Open files beside connections: the store, its readers, logs."""

_log = logging.getLogger(__name__)


def most_files() -> float:
    """The most that this process may ever ask for; infinite where the system sets no limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _number(hard)


def allow_files(wanted: int) -> float:
    """Raise the limit of open files to as many as that, or as far as the system lets us; how many there may be now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _number(soft) >= wanted:
        return _number(soft)
    allowed = wanted if _number(hard) >= wanted else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


def within_files(limits: ConnectionLimits) -> ConnectionLimits:
    """The limits, with as many followers of feeds as the system lets this process have beside its other connections, or
    a quarter of all files, where there are fewer than all those connections need.
    """
    besides = limits.connections + SPARE_FILES
    allowed = allow_files(besides + limits.followers)
    if allowed >= besides + limits.followers:
        return limits
    left = min(limits.followers, max(int(allowed) - besides, int(allowed) // 4))
    _log.warning(
        "%d event streams at once, not %d (CLUDALE_MAX_STREAMS), beside %d other connections: this process may have %d "
        "open files (ulimit -n)",
        left,
        limits.followers,
        limits.connections,
        allowed,
    )
    return limits._replace(followers=left)


def _number(limit: int) -> float:
    return math.inf if limit == resource.RLIM_INFINITY else limit
