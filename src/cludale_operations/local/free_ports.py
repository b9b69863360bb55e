"""Ports that nobody listens on, that no outgoing connection takes by chance before their part is started again, and
that no other process on this machine gives to a part of its own meanwhile.
"""

import atexit
import os
import random
import socket

LOOPBACK = "127.0.0.1"
_LOWEST, _HIGHEST = 15_000, 32_000
"""Below those that systems give to outgoing connections (from 32768 on Linux, from 49152 elsewhere)."""
_BLOCK = 50
"""Ports that a process takes together. It keeps the first one bound as long as it lives, so that the others are its
own though no part listens there yet: between the choice of a port and the start of its part many seconds may pass.
"""

_chance = random.SystemRandom()


class _Blocks:
    """The blocks of this process."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._left: list[int] = []

    def next(self) -> int:
        """A port that is free, and was not given to anyone else. Raises OSError."""
        while True:
            if not self._left:
                self._take()
            port = self._left.pop()
            if _is_free(port):
                return port

    def _take(self) -> None:
        blocks = list(range(_LOWEST, _HIGHEST, _BLOCK))
        _chance.shuffle(blocks)
        for first in blocks:
            guard = socket.socket()
            try:
                guard.bind((LOOPBACK, first))
            except OSError:
                guard.close()
                continue
            atexit.register(guard.close)  # which keeps it open until then
            self._left = list(range(first + 1, first + _BLOCK))
            _chance.shuffle(self._left)
            return
        raise OSError(f"no free ports found between {_LOWEST} and {_HIGHEST}")


_blocks = _Blocks()


def free_port() -> int:
    """A port on loopback that is free, and was given to nobody else who asked here. Raises OSError."""
    global _blocks  # noqa: PLW0603 - a process that was forked off has blocks of its own
    if _blocks.process != os.getpid():
        _blocks = _Blocks()
    return _blocks.next()


def free_ports(count: int) -> list[int]:
    """`count` different ports that are free."""
    return [free_port() for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
