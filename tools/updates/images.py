"""Images that are built on or started: none is asked about here, so each needs an exception that ends."""

import re
from collections.abc import Iterator
from pathlib import Path

from tools.updates.late import Late

_NAMED = re.compile(r"(?:^\s*image: |^FROM |^ARG \w+=)([\w.-]+\.[\w-]+/\S+?):([^\s@]+)", re.MULTILINE)


def late(project: Path) -> Iterator[Late]:
    """Each image of the Dockerfiles and of the compose file that is not built here."""
    for file in sorted([*project.glob("docker/*Dockerfile"), project / "docker/compose.yaml"]):
        for name, tag in _NAMED.findall(file.read_text()):
            place = str(file.relative_to(project))
            yield Late("image", name, tag, "whose registry is not asked", place)
