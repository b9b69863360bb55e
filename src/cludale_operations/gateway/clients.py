"""How many clients HAProxy may have at once, as far as the system lets it."""

import resource

FILES_EACH = 2
"""A client's connection, and that to the service."""
SPARE_FILES = 1_024


def most_clients(connections: int, streams: int) -> int:
    """`connections`, and as many of `streams` beside them as there may be open files for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return connections + streams
    return max(connections, min(connections + streams, (hard - SPARE_FILES) // FILES_EACH))
