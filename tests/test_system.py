"""What only root can install is said with the line that brings it; in CI root has it installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tools.system import WANTED

PROJECT = Path(__file__).parents[1]
HIDDEN = ("strace", "libfaketime")


def run(which: str, bin: Path, *, ci: bool, as_root: bool = True) -> subprocess.CompletedProcess[str]:
    """tools/system.py on a machine that has nothing but the programs in `bin`."""
    program = "import os, sys, tools.system as it\nit.FOLDERS = ()\n"
    program += f"os.geteuid = lambda: {0 if as_root else 1000}\n"
    program += "it.Wanted.file = lambda wanted: None\n"
    program += f"sys.exit(it.main({which!r}))\n"
    environment = {"PATH": str(bin), "PYTHONPATH": str(PROJECT)} | ({"CI": "true"} if ci else {})
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.fixture
def bin(tmp_path: Path) -> Path:
    """A folder with an apt-get that writes down what it is told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    file = folder / "apt-get"
    file.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/told\n')
    file.chmod(0o755)
    return folder


def told(bin: Path) -> list[str]:
    file = bin.parent / "told"
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize("which", ["quick", "all"])
def test_what_is_missing_is_said_with_the_line_that_brings_it_and_is_no_failure(which: str, bin: Path) -> None:
    done = run(which, bin, ci=False)
    assert done.returncode == 0
    packages = [each.packages for each in WANTED.values() if each.is_quick or which == "all"]
    assert f"apt-get install {' '.join(packages)}" in done.stderr
    assert told(bin) == []


def test_in_ci_root_has_it_installed(bin: Path) -> None:
    done = run("all", bin, ci=True)
    assert done.returncode == 0, done.stderr
    update, install = told(bin)
    assert update.startswith("update")
    assert set(" ".join(each.packages for each in WANTED.values()).split()) < set(install.split())


def test_in_ci_nobody_else_goes_on_without_it(bin: Path) -> None:
    done = run("all", bin, ci=True, as_root=False)
    assert done.returncode == 1
    assert "apt-get install" in done.stderr
    assert told(bin) == []


def test_where_all_is_here_nothing_is_said(bin: Path) -> None:
    for each in WANTED.values():
        for name in each.programs:
            (bin / name).write_text("#!/bin/sh\n")
            (bin / name).chmod(0o755)
    done = run("all", bin, ci=False)
    assert "strace" not in done.stderr
    assert "rabbitmq" not in done.stderr


def test_a_bare_python_of_the_system_can_run_it() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(PROJECT / "tools/system.py"), "quick"],
        env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
