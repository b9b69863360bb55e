"""Where the servers of the journeys keep everything: in a file each, or with JOURNEYS_STORE=cosmos in a double.

With JOURNEYS_STORE=state audit keeps its log in its sidecar's state store, and concerts what is read by id alone
(JOURNEYS_SHAPE=nats or =rabbitmq only).
The double runs in a process of its own for as long as the tests do, and each data folder has a database there.
"""

import atexit
import os
import subprocess
import sys
from functools import cache
from hashlib import blake2b
from pathlib import Path

from cludale.wiring.stores import STATE_STORE_USERS
from cludale_operations.local.deployment import STATE_STORE


def store_settings(folder: Path) -> dict[str, str]:
    """What a server over `folder` needs to know of its store."""
    match os.environ.get("JOURNEYS_STORE", "sqlite"):
        case "sqlite":
            return {}
        case "cosmos":
            from tests.product.adapters.cosmos.double import KEY  # noqa: PLC0415 - only this store needs it

            return {
                "CLUDALE_COSMOS_ENDPOINT": _double(),
                "CLUDALE_COSMOS_KEY": KEY,
                "CLUDALE_COSMOS_DATABASE": blake2b(str(folder).encode(), digest_size=8).hexdigest(),
            }
        case "state":
            return {f"CLUDALE_{user.upper()}_STATE": STATE_STORE for user in STATE_STORE_USERS}
        case other:
            raise ValueError(f"JOURNEYS_STORE={other!r}: sqlite, cosmos or state is wanted")


@cache
def _double() -> str:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.product.adapters.cosmos.double"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    atexit.register(process.kill)
    assert process.stdout is not None
    endpoint = process.stdout.readline().strip()
    assert endpoint.startswith("http://"), f"the double said {endpoint!r}"
    return endpoint
