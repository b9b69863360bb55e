"""The commands in README.md and docs/ are commands that there are, with options that they take."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cludale.cli import app

PROJECT = Path(__file__).parents[1]
CLUDALE = ".venv/bin/cludale"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
DOCUMENTS = ("README.md", *sorted(f"docs/{file.name}" for file in (PROJECT / "docs").glob("*.md")))


def commands(document: str) -> Iterator[list[str]]:
    """The words of each command in the document's blocks of shell."""
    for block in BLOCK.findall((PROJECT / document).read_text()):
        # what one command substitutes into another is some word of it
        whole = re.sub(r"\$\([^)]*\)", "word", block.replace("\\\n", " "))
        for line in whole.splitlines():
            # a quote that goes on in the next line is in a script, not in a command of these two
            if CLUDALE in line or line.startswith("make "):
                words = shlex.split(line, comments=True)
                yield words[: next((at for at, word in enumerate(words) if word in {"&", "|", "&&", ";"}), None)]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_command_of_cludale_is_there_and_knows_its_options(document: str) -> None:
    for words in commands(document):
        if CLUDALE in words:
            # parsed, not carried out: help is what follows when all else could be read
            result = CliRunner().invoke(app, [*words[words.index(CLUDALE) + 1 :], "--help"])
            assert result.exit_code == 0, f"{' '.join(words)}: {result.output}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_target_of_make_is_there(document: str) -> None:
    rules = re.findall(r"^([^\t#:=]+):(?!=)", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    targets = {target.replace("$(VENV)", ".venv") for rule in rules for target in rule.split()}
    for words in commands(document):
        if words[0] == "make":
            assert words[1] in targets, " ".join(words)


def test_the_readme_has_both() -> None:
    first = {words[0] for words in commands("README.md")}
    assert {CLUDALE, "make"} <= first
