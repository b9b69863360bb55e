"""The Dockerfiles read, and what is left out of their builds: what is done in which order, with what."""

import json
import re
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

DOCKERFILE = Path("docker/Dockerfile")
SIDECAR = Path("docker/daprd.Dockerfile")


class Instruction(NamedTuple):
    """`keyword rest`, continued lines joined."""

    keyword: str
    rest: str

    @property
    def words(self) -> list[str]:
        """The words of the exec form (a JSON list), or of the plain one."""
        if self.rest.startswith("["):
            words: list[str] = json.loads(self.rest)
            return words
        return self.rest.split()

    @property
    def is_exec(self) -> bool:
        """Is it a list, so that no shell stands between?"""
        return self.rest.startswith("[")


class Stage(NamedTuple):
    """What follows one FROM."""

    base: str
    name: str
    instructions: Sequence[Instruction]

    def of(self, keyword: str) -> list[Instruction]:
        """The instructions with that keyword."""
        return [each for each in self.instructions if each.keyword == keyword]

    @property
    def environment(self) -> dict[str, str]:
        """What ENV sets."""
        return {
            name: value
            for each in self.of("ENV")
            for name, _, value in (pair.partition("=") for pair in each.rest.split())
        }


def read(dockerfile: Path = DOCKERFILE) -> tuple[dict[str, str], list[Stage]]:
    """The arguments before the first stage with their defaults, and the stages."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line.strip() for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.strip()]
    instructions = [Instruction(*line.split(maxsplit=1)) for line in lines]
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for each in instructions:
        if each.keyword == "FROM":
            base, _, name = each.rest.partition(" AS ")
            stages.append(Stage(base, name or str(len(stages)), []))
        elif not stages:
            name, _, value = each.rest.partition("=")
            arguments[name] = value
        else:
            stages[-1] = stages[-1]._replace(instructions=[*stages[-1].instructions, each])
    return arguments, stages


def is_sent(path: str, dockerfile: Path = DOCKERFILE) -> bool:
    """Does this file get to the build? The last pattern that fits says, of a Dockerfile's own list or .dockerignore."""
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    sent = True
    for line in (own if own.exists() else Path(".dockerignore")).read_text(encoding="utf-8").splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            wanted = pattern.startswith("!")
            if _fits(path, pattern.removeprefix("!").rstrip("/")):
                sent = wanted
    return sent


def _fits(path: str, pattern: str) -> bool:
    parts = path.split("/")
    if pattern.startswith("**/"):
        return any(fnmatch(part, pattern.removeprefix("**/")) for part in parts)
    heads = ["/".join(parts[: at + 1]) for at in range(len(parts))]
    return any(fnmatch(head, pattern) and head.count("/") == pattern.count("/") for head in heads)
