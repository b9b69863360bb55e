"""HAProxy's runtime API: commands to one that runs, over a socket that only its owner may use."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TIMEOUT_SECONDS = 10.0


class GatewayRefused(Exception):
    """The gateway did not do it; the message says why."""


class Runtime:
    """The API of the HAProxy whose socket is `name` in `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name

    def told(self, *commands: str) -> str:
        """What HAProxy answers to these commands, given at once. Raises GatewayRefused."""
        try:
            with self._connected() as connection:
                connection.sendall(";".join(commands).encode() + b"\n")
                answer = b""
                while data := connection.recv(65_536):
                    answer += data
        except OSError as error:
            raise GatewayRefused(f"no answer from the gateway at {self._folder / self._name}: {error}") from error
        return answer.decode()

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT_SECONDS)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                short = Path(f"/proc/self/fd/{folder}")  # the address of a socket may have some 100 bytes
                connection.connect(str((short if short.exists() else self._folder) / self._name))
            finally:
                os.close(folder)
            yield connection
