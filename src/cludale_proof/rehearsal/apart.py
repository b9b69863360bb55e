"""A server for one rehearsal: with a data folder of its own, which is removed afterwards, and no setting of ours.

It shares nothing with what is really sold but the machine.
"""

import os
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_urlsafe
from typing import NamedTuple

from cludale_operations.local.tether import tethered
from cludale_proof.rehearsal.plan import CannotRehearse

OURS = ("CLUDALE_", "OTEL_", "APPLICATIONINSIGHTS_")
"""How the names of our settings begin: such as name a database, a provider of payments, a mail server."""
STOP_SECONDS = 30


class Apart(NamedTuple):
    """The server, and the key of its organizer."""

    url: str
    key: str
    trust: ssl.SSLContext | None = None
    """As in Plan."""


@contextmanager
def apart() -> Iterator[Apart]:
    """Start it, and stop it in the end. Raises CannotRehearse where it does not start."""
    with tempfile.TemporaryDirectory(prefix="cludale-rehearsal-") as folder:
        key = token_urlsafe(24)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        environment |= {
            "CLUDALE_DATA_DIR": folder,
            "CLUDALE_HOST": "127.0.0.1",
            "CLUDALE_PORT": "0",
            "CLUDALE_ORGANIZER_KEY": key,
            "CLUDALE_LOG_LEVEL": "error",
        }
        command = tethered([sys.executable, "-m", "cludale_operations", "serve"], when_orphaned=signal.SIGTERM)
        with subprocess.Popen(  # noqa: S603 - our own program, and nothing that somebody typed
            command, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                said = process.stdout or ()
                greeting = next((line for line in said if " on http" in line), "")
                if not greeting:
                    raise CannotRehearse("a server for the rehearsal did not start; `cludale serve` may say why")
                yield Apart(greeting.split(" on ")[1].split(" ")[0].strip(), key)
            finally:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
