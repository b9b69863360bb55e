"""The documents are true: links lead somewhere, and what they name (commands, settings, modules, files) is there."""

import importlib.util
import itertools
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup
from typer.testing import CliRunner

from cludale.wiring.settings import Settings
from cludale_operations.cli import app

PROJECT = Path(__file__).parents[1]
CLUDALE = ".venv/bin/cludale"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
FOLDERS = ("benchmarks", "docker", "docs", "findings", "infra", "src", "tests", "tools")
DOCUMENTS = sorted(
    str(file.relative_to(PROJECT))
    for file in (*PROJECT.glob("*.md"), *(file for folder in FOLDERS for file in (PROJECT / folder).rglob("*.md")))
    if "node_modules" not in file.parts
)
DECISIONS = "docs/develop/adr/0"
"""A decision tells of the code as it was then, so files and names in it may be gone. Its links may not."""
OF_TODAY = [document for document in DOCUMENTS if not document.startswith(DECISIONS)]
OTHERS_SETTINGS = {
    "CLUDALE_TEST_STRIPE_KEY": "tests/product/contracts/test_payment_gateway.py",
    "CLUDALE_GATEWAY_CONFIG": "src/cludale_operations/cli/gateway.py",
    "CLUDALE_SERVICE_BUS": "src/cludale_operations/cli/dead_letters.py",
    "CLUDALE_TEST_COSMOS_DATABASE": "tests/product/contracts/conftest.py",
    "CLUDALE_TEST_COSMOS_ENDPOINT": "tests/product/contracts/conftest.py",
    "CLUDALE_TEST_COSMOS_KEY": "tests/product/contracts/conftest.py",
    "CLUDALE_URL": "src/cludale_operations/cli/client.py",
}
"""Variables that are no settings of a server, and who reads each."""


@cache
def text_of(document: str) -> str:
    return (PROJECT / document).read_text(encoding="utf-8")


@cache
def prose(document: str) -> str:
    """The document without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text_of(document), flags=re.DOTALL | re.MULTILINE)


def named(document: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`\n]+)`", prose(document))


@cache
def anchors(document: str) -> frozenset[str]:
    """The anchors that GitHub makes of the document's headings."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return frozenset(found)


@cache
def files() -> frozenset[str]:
    """Every file of the project, by its path."""
    own = [file for file in PROJECT.iterdir() if file.is_file()]
    within = [file for folder in FOLDERS for file in (PROJECT / folder).rglob("*") if "__pycache__" not in file.parts]
    return frozenset(f"/{file.relative_to(PROJECT)}" for file in (*own, *within))


def commands(document: str) -> Iterator[list[str]]:
    """The words of each command in the document's blocks of shell."""
    for block in BLOCK.findall(text_of(document)):
        # what one command substitutes into another is some word of it
        whole = re.sub(r"\$\([^)]*\)", "word", block.replace("\\\n", " "))
        for line in whole.splitlines():
            # a quote that goes on in the next line is in a script, not in a command of these two
            if CLUDALE in line or line.startswith("make "):
                words = shlex.split(line, comments=True)
                yield words[: next((at for at, word in enumerate(words) if word in {"&", "|", "&&", ";"}), None)]


def targets() -> set[str]:
    rules = re.findall(r"^([^\t#:=]+):(?!=)", text_of("Makefile"), re.MULTILINE)
    return {target.replace("$(VENV)", ".venv") for rule in rules for target in rule.split()}


def variables() -> set[str]:
    return {each.variable for each in Settings().explained()} | set(OTHERS_SETTINGS)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_link_leads_to_a_file_and_to_a_heading_in_it(document: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (PROJECT / document).parent / path if path else PROJECT / document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(str(target.resolve().relative_to(PROJECT.resolve()))), link


@pytest.mark.parametrize("document", OF_TODAY)
def test_each_command_of_cludale_is_there_and_knows_its_options(document: str) -> None:
    for words in commands(document):
        if CLUDALE in words:
            # parsed, not carried out: help is what follows when all else could be read
            result = CliRunner().invoke(app, [*words[words.index(CLUDALE) + 1 :], "--help"])
            assert result.exit_code == 0, f"{' '.join(words)}: {result.output}"


@pytest.mark.parametrize("document", OF_TODAY)
def test_each_command_of_cludale_that_a_sentence_names_is_there(document: str) -> None:
    for code in named(document):
        words = re.sub(r"^(\w+=\S+ )+", "", code).removeprefix(".venv/bin/").split()
        if words[:1] != ["cludale"]:
            continue
        command: Any = typer.main.get_command(app)
        for word in words[1:]:
            if not isinstance(command, TyperGroup) or not re.fullmatch(r"[a-z]+", word):
                break
            command = command.get_command(None, word)  # type: ignore[arg-type] # it looks at the name alone
            assert command is not None, code
        options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
        assert set(re.findall(r"(?<= )--[a-z-]+", code)) <= options, code


@pytest.mark.parametrize("document", OF_TODAY)
def test_each_target_of_make_is_there(document: str) -> None:
    said = [words for words in commands(document) if words[0] == "make"]
    said += [code.split() for code in named(document) if code.startswith("make ")]
    for words in said:
        assert words[1] in targets(), " ".join(words)


@pytest.mark.parametrize("document", OF_TODAY)
def test_each_setting_is_there(document: str) -> None:
    for name in re.findall(r"\bCLUDALE_[A-Z_]+", text_of(document)):
        if name.endswith("_"):  # `CLUDALE_ADMISSION_…`
            assert any(each.startswith(name) for each in variables()), name
        else:
            assert name in variables(), name


@pytest.mark.parametrize(("variable", "reader"), OTHERS_SETTINGS.items())
def test_each_variable_that_is_no_setting_is_read_by_somebody(variable: str, reader: str) -> None:
    assert variable in text_of(reader)


@pytest.mark.parametrize("document", OF_TODAY)
def test_each_module_that_python_is_to_run_is_there(document: str) -> None:
    for module in re.findall(r"\bpython -m ([\w.]+)", text_of(document)):
        assert importlib.util.find_spec(module) is not None, module


@pytest.mark.parametrize("document", OF_TODAY)
def test_each_file_that_is_named_is_there(document: str) -> None:
    for code in named(document):
        for path in re.findall(r"(?<![\w/.$<{~-])[\w.-]+(?:/[\w.-]+)+/?(?![\w/*{<…-])", code):
            of_the_project = path.split("/")[0] in FOLDERS
            if of_the_project or path.endswith((".py", ".md", ".bicep")):
                where = f"/{path.rstrip('/')}"
                assert any(file.endswith(where) for file in files()), path


@pytest.mark.parametrize(
    "file",
    sorted(
        file.removeprefix("/")
        for file in files()
        if file.endswith((".py", ".bicep", ".yaml", ".yml", "Dockerfile", "Makefile", ".go", ".sh"))
        and "docs/" in text_of(file.removeprefix("/"))
    ),
)
def test_each_document_that_a_source_names_is_there(file: str) -> None:
    for path in re.findall(r"(?<![\w/])docs/[\w./-]*\w", text_of(file)):
        assert list(PROJECT.glob(f"{path}*")), path


def test_the_readme_has_both() -> None:
    first = {words[0] for words in commands("README.md")}
    assert {CLUDALE, "make"} <= first


def test_every_document_is_in_the_index() -> None:
    linked = {
        str(((PROJECT / "docs") / link.partition("#")[0]).resolve().relative_to(PROJECT.resolve()))
        for link in re.findall(r"\]\(([^)\s]+)\)", text_of("docs/README.md"))
    }
    pages = {each for each in OF_TODAY if each.startswith("docs/")} - {"docs/README.md"}
    assert pages - linked == set()


def test_every_decision_is_in_its_index_and_number_17_is_explained() -> None:
    index = text_of("docs/develop/adr/README.md")
    decisions = sorted(each.rpartition("/")[2] for each in DOCUMENTS if each.startswith(DECISIONS))
    assert [each for each in decisions if f"]({each})" not in index] == []
    numbers = [int(each[:4]) for each in decisions]
    missing = set(range(1, max(numbers) + 1)) - set(numbers)
    assert missing == {17}
    assert "Number 17 was never used." in index


def test_the_glossary_has_the_terms_of_the_field() -> None:
    terms = {
        term.strip()
        for row in re.findall(r"^\| ([^|]+) \|", text_of("docs/develop/glossary.md"), re.MULTILINE)
        for term in row.split(",")
    }
    assert terms >= {
        "admission control", "command queue", "hold", "on-sale", "section", "allocation", "envelope", "outbox",
        "acknowledgement", "dead letter", "idempotency key", "saga", "preflight", "group commit", "readiness",
        "place order", "evolve", "manifest", "lease", "replay", "redelivery",
    }  # fmt: skip


PACKAGES = [PROJECT / "src" / name for name in ("cludale", "cludale_operations", "cludale_proof")]


GLOSSARY = dict(re.findall(r"^\| ([^|]+) \| .+ \| ([^|]+) \|$", text_of("docs/develop/glossary.md"), re.MULTILINE))
"""Term → where it is in the code."""


@pytest.mark.parametrize("term", GLOSSARY)
def test_what_the_glossary_names_is_in_the_code(term: str) -> None:
    where = GLOSSARY[term]
    for path in re.findall(r"`([\w/]+(?:/|/\w+\.py))`", where):
        assert any((each / path).exists() for each in (*PACKAGES, PROJECT)), path
    for name, path in re.findall(r"`([\w.]+)` in `([\w/]+/\w+\.py)`", where):
        sources = [(each / path).read_text(encoding="utf-8") for each in PACKAGES if (each / path).exists()]
        assert any(re.search(rf"\b{name.rpartition('.')[2]}\b", source) for source in sources), name


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_table_is_whole(document: str) -> None:
    before, lines = "", prose(document).splitlines()
    for line, following in itertools.pairwise([*lines, ""]):
        if line.startswith("|") and not before.startswith("|"):
            assert re.match(r"\|[ :|-]+\|$", following), line
        before = line
