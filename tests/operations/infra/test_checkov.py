"""checkov finds nothing in the infrastructure's files, has read them all, and every suppression says why."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.operations.infra.templates import INFRA
from tests.parts import need

SUPPRESSION = re.compile(r"//\s*checkov:skip=(?P<policy>\w+)(?::(?P<reason>.*))?")


PLANTED = "planted.bicep"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What checkov says of the infrastructure's files, and of one more in which a fault is planted."""
    checkov, folder = need("checkov"), tmp_path_factory.mktemp("checkov") / "infra"
    shutil.copytree(INFRA, folder)
    sound = (INFRA / "modules/registry.bicep").read_text(encoding="utf-8")
    broken = sound.replace("adminUserEnabled: false", "adminUserEnabled: true")
    assert broken != sound
    (folder / PLANTED).write_text(broken, encoding="utf-8")
    done = subprocess.run(
        [checkov, "-d", folder, "--framework", "bicep", "--skip-download", "--compact", "-o", "json"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert "ERROR" not in done.stderr, done.stderr
    said = json.loads(done.stdout)
    assert isinstance(said, dict)
    return said


def failed(found: Mapping[str, Any], *, planted: bool) -> list[str]:
    """The policies that do not hold, in the file with the planted fault or in all others."""
    return [
        f"{each['file_path']}: {each['check_id']} {each['check_name']}"
        for each in found["results"]["failed_checks"]
        if (Path(each["file_path"]).name == PLANTED) is planted
    ]


@pytest.mark.timeout(400)  # among the longest: its file begins early
def test_checkov_finds_nothing(found: Mapping[str, Any]) -> None:
    assert found["results"]["parsing_errors"] == []
    assert failed(found, planted=False) == []
    declared = sum(file.read_text(encoding="utf-8").count("\nresource ") for file in INFRA.rglob("*.bicep"))
    planted = (INFRA / "modules/registry.bicep").read_text(encoding="utf-8").count("\nresource ")
    assert found["summary"]["resource_count"] >= declared + planted, "it has read every file"
    suppressed = {each["check_id"] for each in found["results"]["skipped_checks"]}
    assert suppressed == {policy for policy, _ in suppressions()}, "a suppression that suppresses nothing"


def test_checkov_finds_a_planted_fault(found: Mapping[str, Any]) -> None:
    assert any("CKV_AZURE_137" in each for each in failed(found, planted=True))


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
