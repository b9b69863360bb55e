"""The emulator @vercel/cosmosdb-server 1.0.1, which others wrote: `make cosmos-emulator` installs it.

It gets much wrong (batches, misses, patches, TTL), and what it gets right is a check of ours by somebody else's eyes.
"""

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.parts import LEFT_OUT

ROOT = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("CLUDALE_CACHE", ROOT / ".cache")) / "cosmos-emulator"
EMULATOR_KEY = base64.b64encode(b"any key will do for the emulator").decode()


@contextmanager
def running_emulator() -> Iterator[str]:
    """Its address. Without it the test is left out, in CI it fails."""
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules").is_dir():
        missing = f"there is no node on the PATH, or no Cosmos DB emulator in {FOLDER}: `make cosmos-emulator`"
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(f"{LEFT_OUT}{missing}")
    with subprocess.Popen(
        [node, str(ROOT / "tools/cosmos-emulator/serve.js"), str(FOLDER)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            endpoint = process.stdout.readline().strip()
            assert endpoint.startswith("https://"), f"the emulator said {endpoint!r}"
            yield endpoint
        finally:
            process.kill()
