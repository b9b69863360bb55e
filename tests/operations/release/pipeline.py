"""azure-pipelines.yml as tests look at it: its scripts, and the command lines in them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

FILE = Path(__file__).parents[3] / "azure-pipelines.yml"


def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def scripts() -> list[str]:
    """Every script, inline or not."""
    return list(_scripts(document()))


def _scripts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key in ("script", "inlineScript"):
            if isinstance(node.get(key), str):
                yield node[key]
        for value in node.values():
            yield from _scripts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _scripts(value)


def az_lines(script: str) -> Iterator[list[str]]:
    """The words after `az` of each of its calls; $(variables) stand for the word cludale."""
    for line in script.splitlines():
        found = re.search(r"(?:^|\$\(|\s)az (.*?)\)?(?: > \S+)?$", line.strip())
        if found is not None:
            yield shlex.split(re.sub(r"\$\((\w|\.)+\)", "cludale", found[1]))


def release_lines() -> Iterator[list[str]]:
    """The words after `cludale` of each call of `cludale release`."""
    document_ = document()
    (release,) = (each["value"] for each in document_["variables"] if each.get("name") == "release")
    defaults = {each["name"]: str(each["default"]) for each in document_["parameters"]}
    release = re.sub(r"\$\{\{ parameters\.(\w+) \}\}", lambda match: defaults[match[1]], release)
    for script in scripts():
        for line in script.splitlines():
            if "$(release)" in line:
                line = line.replace("${{ step }}", "5")  # noqa: PLW2901 - one of those that it stands for
                whole = line.strip().replace("$(release)", release.strip())
                whole = whole.replace("$(image)", "a/b@sha256:" + "0" * 64).replace(
                    "$(Build.SourceVersion)", "0123abcdef"
                )
                words = shlex.split(re.sub(r"\$\((\w|\.)+\)", "x", whole))
                assert words[0] == ".venv/bin/cludale", words
                yield words[1:]
