"""What `make test` runs and what it leaves to `make test-all`: every test in one of them, and none of them twice."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
TESTS = """
import pytest
from tests.parts import need

def test_of_nothing_else():
    pass

@pytest.mark.parametrize("part", ["postgres", "daprd"])
def test_with(part):
    if part != "postgres":
        need(part)

@pytest.fixture(scope="session")
def sidecar():
    need("daprd")

def test_by_a_fixture(sidecar):
    pass

@pytest.mark.slow
def test_for_a_minute():
    pass

@pytest.fixture
def scale():
    pass

def test_in_counts(scale):
    pass

@pytest.mark.alone
def test_in_counts_alone(scale):
    pass
"""
QUICK = {"test_of_nothing_else", "test_with[postgres]", "test_in_counts", "test_in_counts_alone"}
LEFT = {"test_with[daprd]", "test_by_a_fixture", "test_for_a_minute"}


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CI", "RELIABILITY_SCALE", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # none has a part in it, and they take long to load
    here = tmp_path / "bin"
    here.mkdir()
    (here / "daprd").write_text("#!/bin/sh\n")
    (here / "daprd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{here}:/usr/bin:/bin")
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")


def passed(folder: Path, *options: str, status: int = 0) -> set[str]:
    """The names of those that passed in a run of them."""
    plugins = ("-p", "tests.quick", "-p", "tests.parts")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "--color=no", *plugins, *options, str(folder)],
        cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return {line.rpartition("::")[2] for line in done.stdout.splitlines() if line.startswith("PASSED ")}


@pytest.mark.slow
def test_every_test_is_in_the_quick_run_or_in_the_rest_and_none_in_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = tmp_path / "test_more.py"
    more.write_text("def test_that_fails():\n    assert False\n")
    assert passed(tmp_path, "--quick", status=1) == QUICK, "neither what is slow nor what needs another part"
    more.write_text("def test_that_fails():\n    pass\n\ndef test_that_is_new():\n    pass\n")
    rest = LEFT | {"test_that_fails", "test_that_is_new"}
    assert passed(tmp_path, "--rest") == rest
    monkeypatch.setenv("RELIABILITY_SCALE", "slow")
    assert passed(tmp_path, "--rest") == rest | {"test_in_counts_alone"}, "nothing ran beside it this time"


@pytest.mark.slow
def test_without_a_quick_run_the_rest_is_everything(tmp_path: Path) -> None:
    assert passed(tmp_path, "--rest") == QUICK | LEFT


@pytest.mark.slow
def test_without_pytests_cache_nothing_is_noted_and_the_rest_is_everything(tmp_path: Path) -> None:
    assert passed(tmp_path, "--quick", "-p", "no:cacheprovider") == QUICK
    assert passed(tmp_path, "--rest", "-p", "no:cacheprovider") == QUICK | LEFT
