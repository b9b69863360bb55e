"""The Dockerfile, read: who it runs as, what it is made of, what never gets into it."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from tests.operations.docker.dockerfile import DOCKERFILE, SIDECAR, is_sent, read

ARGUMENTS, STAGES = read()
BUILD, FINAL = STAGES


def test_it_runs_as_nobody_in_particular() -> None:
    uid, _, _ = FINAL.of("USER")[-1].rest.partition(":")
    assert uid.isdigit(), "a platform that wants to know that it is not root looks for a number"
    assert int(uid) >= 10_000
    last = [each.keyword for each in FINAL.instructions]
    assert not {"RUN", "COPY"} & set(last[last.index("USER") :])


def test_the_base_is_pinned_and_the_one_that_everything_is_tested_with() -> None:
    assert {stage.base for stage in STAGES} == {"${BASE}"}
    name, _, digest = ARGUMENTS["BASE"].partition("@")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest), "a tag may lead elsewhere tomorrow"
    tag = name.rpartition(":")[2]
    assert re.fullmatch(r"\d+\.\d+-slim-\w+", tag)
    tested = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]["python_version"]
    assert tag.startswith(f"{tested}-")


def test_no_other_image_is_fetched_to_read_the_file_with() -> None:
    for file in (DOCKERFILE, SIDECAR):
        assert "syntax=" not in file.read_text(encoding="utf-8").partition("\n")[0], "an image by tag, which runs"


def test_no_shell_stands_between() -> None:
    for stage in STAGES:
        for keyword in ("RUN", "ENTRYPOINT", "CMD"):
            assert all(each.is_exec for each in stage.of(keyword)), keyword
    assert FINAL.of("ENTRYPOINT")[-1].words == ["/opt/cludale/bin/cludale"]
    assert FINAL.of("STOPSIGNAL")[-1].rest == "SIGTERM"


def test_what_it_stands_on_comes_by_hash_and_the_lock_has_one_for_each() -> None:
    (install,) = [each.words for each in BUILD.of("RUN") if "requirements-distributed.lock" in each.words]
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(install)
    lock = Path("requirements-distributed.lock").read_text(encoding="utf-8")
    pinned = re.findall(
        r"^[\w.-]+==\S+(?: ; \S+ == \S+)? \\\n((?: {4}--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", lock, re.MULTILINE
    )
    assert len(pinned) == len(re.findall(r"^[\w.-]+==", lock, re.MULTILINE)) > 50


@pytest.mark.parametrize(("dockerfile", "sources"), [(DOCKERFILE, "*.py"), (SIDECAR, "*.go")])
def test_what_is_copied_is_there_and_is_sent(dockerfile: Path, sources: str) -> None:
    build, _ = read(dockerfile)[1]
    for each in build.of("COPY"):
        for source in each.words[:-1]:
            files = [Path(source)] if Path(source).is_file() else [*Path(source).rglob(sources)]
            assert files, source
            assert all(is_sent(file.as_posix(), dockerfile) for file in files)


def test_the_image_takes_from_its_build_alone() -> None:
    assert all(each.words[0].startswith("--from=") for each in FINAL.of("COPY"))


@pytest.mark.parametrize(
    "path",
    [
        "data/organizer.key", ".git/config", ".env", "infra/main.bicep", "tests/conftest.py", ".cache/bin/daprd",
        "src/cludale/__pycache__/__init__.cpython-311.pyc",
        "src/cludale_proof/checker/whole.py", "organizer.key", "docs/run/azure.md", ".venv/bin/python",
    ],
)  # fmt: skip
def test_nothing_else_is_sent(path: str) -> None:
    assert not is_sent(path)


def test_no_secret_and_nothing_from_elsewhere_gets_in() -> None:
    for stage in STAGES:
        assert not stage.of("ADD")
        names = [*stage.environment, *(each.rest.partition("=")[0] for each in stage.of("ARG"))]
        assert not [name for name in names if re.search("KEY|TOKEN|PASSWORD|SECRET", name)]


def test_only_the_data_can_be_written_to() -> None:
    assert [each.rest for each in FINAL.of("VOLUME")] == ["/data"]
    assert FINAL.environment["CLUDALE_DATA_DIR"] == "/data"
    assert FINAL.environment["PYTHONDONTWRITEBYTECODE"] == "1"


def test_it_tells_how_it_is_without_a_program_of_its_own_for_that() -> None:
    (check,) = FINAL.of("HEALTHCHECK")
    command = json.loads(check.rest.partition("CMD ")[2])
    assert command[0] == "/opt/cludale/bin/python"
    compile(command[2], "HEALTHCHECK", "exec")
    assert "/livez" in command[2]
    assert "curl" not in check.rest
    assert "wget" not in check.rest


def test_it_says_what_it_is() -> None:
    labels = " ".join(each.rest for each in FINAL.of("LABEL"))
    for name in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{name}=" in labels
