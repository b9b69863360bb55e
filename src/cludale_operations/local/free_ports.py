"""Ports that nobody listens on, and that no outgoing connection takes by chance before their part is started again."""

import random
import socket

LOOPBACK = "127.0.0.1"
_LOWEST, _HIGHEST = 15_000, 32_000
"""Below those that systems give to outgoing connections (from 32768 on Linux, from 49152 elsewhere)."""
_TRIES = 1_000

_chance = random.SystemRandom()
_given: set[int] = set()


def free_port() -> int:
    """A port on loopback that is free, and was not given to anyone else in this process. Raises OSError."""
    for _ in range(_TRIES):
        port = _chance.randrange(_LOWEST, _HIGHEST)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no free port found between {_LOWEST} and {_HIGHEST}")


def free_ports(count: int) -> list[int]:
    """So many different ports."""
    return [free_port() for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
