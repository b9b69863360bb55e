"""The emulator @vercel/cosmosdb-server 1.0.1, which others wrote: `make cosmos-emulator` installs it.

It gets much wrong (batches, misses, patches, TTL), and what it gets right is a check of ours by somebody else's eyes.
"""

import base64
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts import need

ROOT = Path(__file__).parents[4]
EMULATOR_KEY = base64.b64encode(b"any key will do for the emulator").decode()


@contextmanager
def running_emulator() -> Iterator[str]:
    """Its address. Without it the test is left out, in CI it fails."""
    folder = need("cosmos-emulator")
    with subprocess.Popen(
        ["node", str(ROOT / "tools/cosmos-emulator/serve.js"), str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            endpoint = process.stdout.readline().strip()
            assert endpoint.startswith("https://"), f"the emulator said {endpoint!r}"
            yield endpoint
        finally:
            process.kill()
