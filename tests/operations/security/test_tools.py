"""Every finding of bandit has its answer, and the bill of materials has every package that is locked."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from tests.parts import need
from tools.security.found import answered, found

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def bandit() -> Path:
    return need("bandit")


def test_every_finding_has_its_answer_and_every_answer_its_finding(bandit: Path) -> None:
    assert found(bandit) == answered()


def test_it_names_every_package_that_is_locked(bandit: Path, tmp_path: Path) -> None:
    (command,) = re.findall(
        r"^\t\$\(SECURITY\)/(cyclonedx-py .*) \\\n\t\t(.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE
    )
    program, *options = " ".join(command).replace("cludale.cdx.json", str(tmp_path / "made.json")).split()
    subprocess.run([bandit.with_name(program), *options], cwd=PROJECT, timeout=180, check=True, capture_output=True)
    made = json.loads((tmp_path / "made.json").read_text())
    lock = (PROJECT / "requirements-distributed.lock").read_text()
    locked = {f"pkg:pypi/{name}@{version}" for name, version in re.findall(r"^([^ =]+)==([^ ;]+)", lock, re.MULTILINE)}
    assert made["bomFormat"] == "CycloneDX"
    assert made["metadata"]["component"]["name"] == "cludale"
    assert {each["purl"] for each in made["components"]} == locked
