"""Packages of npm: what npm would have locked that many days ago, beside what is locked."""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from packaging.version import Version
from tools.updates.late import Late

_SECONDS = 300
_HEAD = "node_modules/"


def late(project: Path, lock: str, before: date) -> list[Late]:
    """What of this package-lock.json is older than what could be had on that day."""
    said = json.loads((project / lock).with_name("package.json").read_text())
    then = locked(_resolved(said["dependencies"], before))
    return [
        Late("npm", place.rpartition(_HEAD)[2], version, f"{then[place]} was there on {before}", lock)
        for place, version in locked(json.loads((project / lock).read_text())).items()
        if place in then and Version(then[place]) > Version(version)
    ]


def locked(lock: Mapping[str, Any]) -> dict[str, str]:
    """The version of each package, by the folder that it gets; one may be there several times."""
    return {place: each["version"] for place, each in lock["packages"].items() if place}


def _resolved(dependencies: Mapping[str, str], before: date) -> dict[str, Any]:
    """Our own bounds are left out."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        said = {"private": True, "dependencies": dict.fromkeys(dependencies, "*")}
        (there / "package.json").write_text(json.dumps(said))
        command = ["npm", "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run([*command, f"--before={before}"], cwd=there, capture_output=True, timeout=_SECONDS, check=True)
        lock: dict[str, Any] = json.loads((there / "package-lock.json").read_text())
        return lock
