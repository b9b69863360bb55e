"""Time zones are those of the locked package tzdata, whatever the system has."""

import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

ASK = "import {package}; from datetime import datetime; from zoneinfo import ZoneInfo; "
ASK += "print(datetime(2027, 1, 15, tzinfo=ZoneInfo('America/Vancouver')).strftime('%z'))"


def asked(package: str, **settings: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONTZPATH"} | settings
    command = [sys.executable, "-c", ASK.format(package=package)]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


@pytest.mark.parametrize("package", ["cludale.kernel.dates", "cludale_operations.cli", "cludale_proof.checker"])
def test_product_and_checker_reckon_by_the_package_and_not_by_the_system(package: str) -> None:
    """British Columbia keeps UTC-7 in winter, too, since 2026 (IANA 2026b); Debian 12 as installed has 2025b."""
    assert asked(package) == "-0700"


def test_who_names_a_folder_of_zones_gets_those(tmp_path: Path) -> None:
    (tmp_path / "America").mkdir()
    tokyo = files("tzdata") / "zoneinfo" / "Asia" / "Tokyo"
    (tmp_path / "America" / "Vancouver").write_bytes(tokyo.read_bytes())
    assert asked("cludale", PYTHONTZPATH=str(tmp_path)) == "+0900"
