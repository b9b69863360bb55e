"""Commands are loaded when they are called; those that prove the product may not be installed."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from tests.served import environment

from cludale_operations.cli import app
from cludale_operations.cli.commands import COMMANDS, PROOFS
from cludale_operations.proof import PACKAGE, ProofMissing, proof_for

LOADED = """
import sys
from cludale_operations.cli import main
try:
    main()
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""
"""The command line, which then says what was loaded for it."""
WITHOUT = "import sys; sys.modules['cludale_proof'] = None; from cludale_operations.cli import main; main()"
"""The command line, in a process that can't load the checker."""


def cludale(folder: Path, *arguments: str, program: str = WITHOUT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
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


@pytest.mark.parametrize("command", [("--version",), ("settings", "--json"), ("orders", "list", "--help")])
def test_a_command_does_not_wait_for_what_only_others_need(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = cludale(tmp_path, *command, program=LOADED)
    assert done.returncode == 0
    loaded = set(done.stderr.split())
    assert "cludale_operations.cli" in loaded
    assert not loaded & {
        "cludale.services.catalogue",
        "cludale_operations.cli.backup",
        "cludale_proof",
        "jinja2",
        "apsw",
    }


def test_every_command_can_be_loaded_and_says_what_it_does() -> None:
    for name in (*COMMANDS, *PROOFS):
        command = typer.main.get_command(app).get_command(None, name)  # type: ignore[attr-defined] # a group's
        assert command.name == name
        assert command.help
