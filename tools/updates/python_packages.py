"""Packages of PyPI: what uv would have locked that many days ago, beside what is locked."""

import re
import subprocess
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from tools.security.advisories import locked
from tools.updates.late import Late

PRODUCT = ("install",)
DISTRIBUTED = (*PRODUCT, "distributed", "azure", "stripe")
LOCKS: dict[str, tuple[str, ...]] = {
    "requirements.lock": PRODUCT,
    "requirements-distributed.lock": DISTRIBUTED,
    "requirements-dev.lock": (*DISTRIBUTED, "dev"),
}
"""Those that pyproject.toml is resolved into, and the extras; each other one has a `requirements.in` beside it."""
_TOO_NEW = re.compile(r"`([A-Za-z0-9._-]+)` was filtered by `exclude-newer`")
_SECONDS = 300


def late(project: Path, uv: Path, lock: str, before: date) -> list[Late]:
    """What of this lock file is older than what could be had on that day."""
    then = dict(locked([_resolved(uv, names(wanted(project, lock)), before)]))
    return [
        Late("pypi", name, version, f"{then[name]} was there on {before}", lock)
        for name, version in locked([(project / lock).read_text()])
        if name in then and Version(then[name]) > Version(version)
    ]


def wanted(project: Path, lock: str) -> list[str]:
    """The requirements that a lock file was made of."""
    if lock not in LOCKS:
        lines = (project / lock).with_suffix(".in").read_text().splitlines()
        return [bare for line in lines if (bare := line.split("#")[0].strip())]
    said = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    extras = said["optional-dependencies"]
    return [*said["dependencies"], *(each for extra in LOCKS[lock] for each in extras[extra])]


def names(requirements: Iterable[str]) -> Iterator[str]:
    """Without the versions: a bound of ours is no excuse, one that another package sets is what there is."""
    for each in map(Requirement, requirements):
        each.specifier = SpecifierSet()
        yield str(each)


def _resolved(uv: Path, asked: Iterable[str], before: date) -> str:
    """As a lock file. What was not there at all on that day is left out: nothing of it can be late."""
    left = list(asked)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "asked.in"
        command = [str(uv), "pip", "compile", "--quiet", "--no-config", "--no-header", "--no-annotate"]
        command += ["--python-version", "3.11", "--exclude-newer", before.isoformat(), str(file)]
        while True:
            file.write_text("\n".join(left))
            said = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
            too_new = set(_TOO_NEW.findall(said.stderr))
            fewer = [each for each in left if canonicalize_name(Requirement(each).name) not in too_new]
            if said.returncode == 0 or len(fewer) == len(left):
                said.check_returncode()
                return str(said.stdout)
            left = fewer
