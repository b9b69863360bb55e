"""The commands that prove the product, where the package that has them is not installed."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.served import environment

from cludale_operations.proof import PACKAGE, ProofMissing, proof_for

WITHOUT = "import sys; sys.modules['cludale_proof'] = None; from cludale_operations.cli import main; main()"
"""The command line, in a process that can't load the checker."""


def cludale(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *arguments],
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_command_that_is_not_installed_says_in_a_sentence_what_to_do(tmp_path: Path) -> None:
    done = cludale(tmp_path, "check", "--data", "elsewhere", "--quiet")
    assert done.returncode == 2
    (said,) = done.stderr.splitlines()
    assert f"`cludale check` needs the package {PACKAGE}, which is not installed here" in said
    assert "make run" in said


def test_help_shows_all_the_same_that_there_is_one(tmp_path: Path) -> None:
    done = cludale(tmp_path, "--help")
    assert done.returncode == 0
    assert "Not installed here." in done.stdout


def test_another_package_that_is_missing_is_no_matter_of_the_proof() -> None:
    with pytest.raises(ModuleNotFoundError), proof_for("cludale check"):
        raise ModuleNotFoundError("no asyncpg", name="asyncpg")
    with pytest.raises(ProofMissing), proof_for("cludale check"):
        raise ModuleNotFoundError("no checker", name=f"{PACKAGE}.checker")
