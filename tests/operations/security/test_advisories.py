"""What is locked is held against a list of known holes that somebody brought here."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from tools.security.advisories import Checkout, Hole, holes, locked

A_LOCK = """\
jinja2==3.1.2 \\
    --hash=sha256:00
Some.Name[extra]==1.10 ; python_version > "3.10" \\
    --hash=sha256:00
"""


def advisory(id: str, name: str, **affected: object) -> dict[str, object]:
    return {"id": id, "affected": [{"package": {"name": name, "ecosystem": "PyPI"}, **affected}]}


def within(*events: dict[str, str]) -> dict[str, object]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}


def test_a_lock_files_packages_are_named_as_the_list_names_them() -> None:
    assert locked([A_LOCK]) == {("jinja2", "3.1.2"), ("some-name", "1.10")}


@pytest.mark.parametrize(
    ("version", "events", "has_hole"),
    [
        ("1.9", [{"introduced": "0"}, {"fixed": "1.10"}], True),
        ("1.10", [{"introduced": "0"}, {"fixed": "1.10"}], False),
        ("1.10", [{"introduced": "0"}, {"fixed": "1.9"}], False),
        ("2.1", [{"introduced": "0"}, {"fixed": "1.9"}, {"introduced": "2"}, {"fixed": "2.2"}], True),
        ("1.9.5", [{"introduced": "0"}, {"fixed": "1.9"}, {"introduced": "2"}, {"fixed": "2.2"}], False),
        ("1.9", [{"introduced": "0"}, {"last_affected": "1.9"}], True),
        ("1.9.1", [{"introduced": "0"}, {"last_affected": "1.9"}], False),
        ("3.0", [{"introduced": "2"}], True),
    ],
)
def test_a_version_has_the_hole_from_where_it_came_to_where_it_was_mended(
    version: str, events: list[dict[str, str]], has_hole: bool
) -> None:
    found = holes([("a", version)], {"a": [advisory("PYSEC-1", "a", **within(*events))]})
    assert found == ({Hole("a", version, "PYSEC-1")} if has_hole else set())


def test_versions_that_are_named_count_and_what_was_withdrawn_does_not() -> None:
    named = advisory("PYSEC-1", "Some.Name", versions=["1.10"])
    withdrawn = {**advisory("PYSEC-2", "some-name", versions=["1.10"]), "withdrawn": "2024-01-01T00:00:00Z"}
    by_commits = advisory("PYSEC-3", "some-name", ranges=[{"type": "GIT", "events": [{"introduced": "0"}]}])
    assert holes([("some-name", "1.10")], {"some-name": [named, withdrawn, by_commits]}) == {
        Hole("some-name", "1.10", "PYSEC-1")
    }


def test_the_list_is_read_from_git_and_says_of_which_day_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "vulns" / "Jinja2"
    folder.mkdir(parents=True)
    # JSON is YAML
    (folder / "PYSEC-1.yaml").write_text(json.dumps(advisory("PYSEC-1", "jinja2", **within({"introduced": "0"}))))
    day = {"GIT_AUTHOR_DATE": "2024-10-10T12:00:00Z", "GIT_COMMITTER_DATE": "2024-10-10T12:00:00Z"}
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True, timeout=30, env={**os.environ, **day})
    checkout = Checkout(tmp_path)
    assert (checkout.of, checkout.count) == ("2024-10-10", 1)
    packages = locked([A_LOCK])
    assert holes(packages, checkout.advisories(packages)) == {Hole("jinja2", "3.1.2", "PYSEC-1")}
