"""What the Dockerfile makes, made and run here: every service, as nobody, over a root that can't be written to."""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.operations.docker.image import Image, build, started
from tests.parts import need

from cludale.services import NAMES
from cludale_operations.local.find import cache_folder

STARTED_SECONDS = 120
PACKAGES = f"opt/cludale/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"

pytestmark = pytest.mark.timeout(1800)  # the first build brings everything that the image stands on


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    need("root")
    kept = cache_folder().resolve() / "image"
    kept.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=kept))
    work.chmod(0o755)
    try:
        yield build(kept, work)
    finally:
        subprocess.run(["rm", "-rf", work], check=True, timeout=60)


def settings() -> Mapping[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {
        "CLUDALE_HOST": "127.0.0.1",
        "CLUDALE_PORT": str(port),
        "CLUDALE_CONCERTS_URL": "http://127.0.0.1:9",
        "CLUDALE_ORDERS_URL": "http://127.0.0.1:9",
    }


def await_ready(process: "subprocess.Popen[str]", port: str) -> None:
    end = time.monotonic() + STARTED_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"it ended: {process.communicate()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                assert answer.status == 200
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("it does not start")


def is_healthy(image: Image, environment: Mapping[str, str]) -> bool:
    (check,) = image.stage.of("HEALTHCHECK")
    command = json.loads(check.rest.partition("CMD ")[2])
    done = subprocess.run(image.command(command, environment), capture_output=True, timeout=30, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("service", [*NAMES, "all"])
def test_every_service_starts_says_that_it_is_well_and_ends_when_told_to(image: Image, service: str) -> None:
    environment = settings()
    assert not is_healthy(image, environment)
    with started(image, ["serve", service], environment) as process:
        await_ready(process, environment["CLUDALE_PORT"])
        assert is_healthy(image, environment)
        owner = Path(f"/proc/{process.pid}").stat()
        assert owner.st_uid == 65532
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_the_root_can_not_be_written_to(image: Image) -> None:
    for path in ("/opt/cludale/x", "/x", "/usr/x", "/etc/x"):
        for user in (None, "0:0"):
            done = subprocess.run(
                image.command(["touch", path], {}, user=user), capture_output=True, text=True, timeout=30, check=False
            )
            assert done.returncode != 0, path
            assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr


def test_what_only_the_build_needs_is_not_in_it(image: Image) -> None:
    packages = image.root / PACKAGES
    found = {each.name.partition("-")[0].lower() for each in packages.glob("*.dist-info")}
    assert "cludale" in found
    assert "azure_cosmos" in found
    assert not found & {"pip", "setuptools", "pytest", "mypy"}
    assert not [*image.root.rglob("*.lock")]


def test_it_has_the_product_and_what_runs_it_and_says_that_it_has_nothing_that_proves_it(image: Image) -> None:
    packages = image.root / PACKAGES
    assert {each.name for each in packages.glob("cludale*") if each.suffix == ""} == {"cludale", "cludale_operations"}
    command = image.command([*image.entrypoint, "check"], settings())
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "`cludale check` needs the package cludale_proof, which is not installed here" in done.stderr


@pytest.mark.parametrize("package", ["cludale", "cludale_operations"])
def test_it_is_compiled_so_that_nothing_has_to_be_written(image: Image, package: str) -> None:
    sources = [*(image.root / PACKAGES / package).rglob("*.py")]
    assert sources
    for source in sources:
        assert [*(source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")], source
