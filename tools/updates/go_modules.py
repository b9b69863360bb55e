"""Modules of Go that are chosen here: how long the first release after the locked one has been there.

What those bring along (`// indirect`) has the versions that their makers built and tested with, and comes with them.
"""

import json
import re
import subprocess
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from packaging.version import Version
from tools.updates.late import Late

_REQUIRED = re.compile(r"^\s*(?:require )?(\S+\.\S+/\S+) (v\S+)( // indirect)?$", re.MULTILINE)
_TOOL = re.compile(r"^tool (\S+)$", re.MULTILINE)
_RELEASE = re.compile(r"v\d+\.\d+\.\d+")
_SECONDS = 120


def late(project: Path, module: str, before: date) -> list[Late]:
    """What of this go.mod has had a newer release since before that day."""
    found = []
    for name, version in chosen((project / module).read_text()).items():
        there = _versions(name)
        if version not in there:
            found.append(
                Late("go", name, version, "which the registry does not list, nor so what came after it", module)
            )
        for newer in following(version, there):
            since = date.fromisoformat(_list(f"{name}@{newer}")["Time"][:10])
            if since <= before:
                found.append(Late("go", name, version, f"{newer} is there since {since}", module))
                break
    return found


def chosen(text: str) -> dict[str, str]:
    """The version of each module that a go.mod asks for itself, as a requirement or as a tool."""
    tools = _TOOL.findall(text)
    return {
        name: version
        for name, version, indirect in _REQUIRED.findall(text)
        if not indirect or any(tool == name or tool.startswith(f"{name}/") for tool in tools)
    }


def following(version: str, there: Iterable[str]) -> list[str]:
    """The releases after this version, oldest first."""
    after = [each for each in there if _RELEASE.fullmatch(each) and Version(each) > Version(version)]
    return sorted(after, key=Version)


def _versions(name: str) -> list[str]:
    """Those that are listed; none where the registry keeps no list of this module."""
    try:
        versions: list[str] = _list("-versions", name).get("Versions", [])
    except subprocess.CalledProcessError:
        return []
    return versions


def _list(*what: str) -> dict[str, Any]:
    command = ["go", "list", "-m", "-json", *what]
    said = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=_SECONDS, check=True).stdout
    answer: dict[str, Any] = json.loads(said)
    return answer
