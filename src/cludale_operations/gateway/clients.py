"""How many clients HAProxy may have at once, as far as the system lets it."""

from cludale.web.files import most_files

FILES_EACH = 2
"""A client's connection, and that to the service."""
SPARE_FILES = 1_024


def most_clients(connections: int, streams: int) -> int:
    """`connections`, and as many of `streams` beside them as there may be open files for."""
    room = (most_files() - SPARE_FILES) // FILES_EACH
    return int(max(connections, min(connections + streams, room)))
