"""checkov finds nothing in the infrastructure's files, has read them all, and every suppression says why."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.operations.infra.templates import INFRA
from tests.parts import need

SUPPRESSION = re.compile(r"//\s*checkov:skip=(?P<policy>\w+)(?::(?P<reason>.*))?")


@pytest.fixture(scope="module")
def checkov() -> Path:
    """The program."""
    return need("checkov")


def run(checkov: Path, folder: Path) -> Mapping[str, Any]:
    done = subprocess.run(
        [checkov, "-d", folder, "--framework", "bicep", "--skip-download", "--compact", "-o", "json"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert "ERROR" not in done.stderr, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.timeout(400)  # among the longest: its file begins early
def test_checkov_finds_nothing(checkov: Path) -> None:
    found = run(checkov, INFRA)
    assert found["results"]["parsing_errors"] == []
    assert [
        f"{each['file_path']}: {each['check_id']} {each['check_name']}" for each in found["results"]["failed_checks"]
    ] == []
    declared = sum(file.read_text(encoding="utf-8").count("\nresource ") for file in INFRA.rglob("*.bicep"))
    assert found["summary"]["resource_count"] >= declared, "it has read every file"
    suppressed = {each["check_id"] for each in found["results"]["skipped_checks"]}
    assert suppressed == {policy for policy, _ in suppressions()}, "a suppression that suppresses nothing"


def test_checkov_finds_a_planted_fault(checkov: Path, tmp_path: Path) -> None:
    sound = (INFRA / "modules/registry.bicep").read_text(encoding="utf-8")
    broken = sound.replace("adminUserEnabled: false", "adminUserEnabled: true")
    assert broken != sound
    (tmp_path / "registry.bicep").write_text(broken, encoding="utf-8")
    found = run(checkov, tmp_path)
    assert "CKV_AZURE_137" in {each["check_id"] for each in found["results"]["failed_checks"]}


def suppressions() -> list[tuple[str, str]]:
    return [
        (each["policy"], (each["reason"] or "").strip())
        for file in sorted(INFRA.rglob("*.bicep"))
        for each in SUPPRESSION.finditer(file.read_text(encoding="utf-8"))
    ]


def test_every_suppression_says_why() -> None:
    assert suppressions()
    for policy, reason in suppressions():
        assert len(reason.split()) >= 8, f"{policy}: {reason!r}"
