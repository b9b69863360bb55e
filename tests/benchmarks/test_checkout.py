"""Another checkout's server is started with what is found there, and called by its commit."""

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.checkout import Checkout, NoCheckout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree of the layout before operations were a package of their own."""
    package = tmp_path / "before" / "src" / "cludale"
    package.mkdir(parents=True)
    (package / "__main__.py").write_text("")
    return tmp_path / "before"


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit_all(folder: Path) -> str:
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "All of it")
    return git(folder, "rev-parse", "--short", "HEAD")


def test_an_older_layout_is_started_by_its_own_module(tree: Path) -> None:
    assert Checkout.at(tree).command("serve")[1:] == ["-m", "cludale", "serve"]


def test_a_layout_as_of_now_is_started_by_the_operations_package(tree: Path) -> None:
    (tree / "src" / "cludale_operations").mkdir()
    (tree / "src" / "cludale_operations" / "__main__.py").write_text("")

    assert Checkout.at(tree).command("serve")[1:] == ["-m", "cludale_operations", "serve"]


def test_without_an_environment_of_its_own_it_runs_with_this_interpreter_and_its_own_sources(tree: Path) -> None:
    checkout = Checkout.at(tree)

    assert checkout.python == Path(sys.executable)
    assert checkout.environment() == {"PYTHONPATH": str(tree / "src")}


def test_its_own_environment_runs_it(tree: Path) -> None:
    own = tree / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.symlink_to(sys.executable)

    assert Checkout.at(tree).python == own


def test_it_is_called_by_its_commit(tree: Path) -> None:
    commit = commit_all(tree)

    assert Checkout.at(tree).commit() == commit


def test_changed_sources_are_said(tree: Path) -> None:
    commit = commit_all(tree)
    (tree / "src" / "cludale" / "__main__.py").write_text("print()")

    assert Checkout.at(tree).commit() == f"{commit}-changed"


def test_a_tree_without_git_does_not_get_the_commit_of_what_it_lies_in(tree: Path) -> None:
    commit_all(tree.parent)

    assert Checkout.at(tree).commit() == "no-commit"


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoCheckout, match="nowhere is no folder"):
        Checkout.at(tmp_path / "nowhere")


def test_a_folder_without_a_server_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(NoCheckout, match=r"neither src/cludale_operations/__main__\.py nor src/cludale/__main__\.py"):
        Checkout.at(tmp_path)
