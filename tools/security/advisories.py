"""The lock files against a checkout of github.com/pypa/advisory-database: `python tools/security/advisories.py PATH`.

For a machine that reaches neither PyPI nor OSV. PATH is a checkout, or a Git folder without one; what is known is of
its newest commit, whose date is printed. Each package that is locked in a version with a hole needs an answer in
holes.toml. Exit status 1 where one has none, or an answer no hole any more.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped] # it has no types of its own
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

PROJECT = Path(__file__).resolve().parents[2]
LOCKS = (
    "requirements.lock",
    "requirements-distributed.lock",
    "requirements-dev.lock",
    "tools/security/requirements.lock",
)
ANSWERS = Path(__file__).with_name("holes.toml")
_LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^ ;\\\n]+)", re.MULTILINE)
_SECONDS = 120


class Hole(NamedTuple):
    """A version that is locked, and what is known about it."""

    package: str
    version: str
    advisory: str


def locked(texts: Iterable[str]) -> set[tuple[str, str]]:
    """Name and version of each package in these lock files."""
    return {(canonicalize_name(name), version) for text in texts for name, version in _LOCKED.findall(text)}


def holes(packages: Iterable[tuple[str, str]], advisories: Mapping[str, list[dict[str, Any]]]) -> set[Hole]:
    """What is known about these versions; `advisories` by the package's name, in OSV's form."""
    return {
        Hole(name, version, advisory["id"])
        for name, version in packages
        for advisory in advisories.get(name, ())
        if not advisory.get("withdrawn") and _is_affected(name, version, advisory)
    }


def _is_affected(name: str, version: str, advisory: Mapping[str, Any]) -> bool:
    for affected in advisory.get("affected", ()):
        package = affected.get("package", {})
        if package.get("ecosystem") != "PyPI" or canonicalize_name(package.get("name", "")) != name:
            continue
        if version in map(str, affected.get("versions", ())):
            return True
        ranges = (each["events"] for each in affected.get("ranges", ()) if each["type"] == "ECOSYSTEM")
        if any(_is_within(Version(version), events) for events in ranges):
            return True
    return False


def _is_within(version: Version, events: Iterable[Mapping[str, str]]) -> bool:
    """Is it introduced, and not ended, as OSV reckons: events in the order of their versions."""
    is_in = False
    for kind, at in sorted(_moments(events), key=lambda each: each[1]):
        if kind == "introduced" and version >= at:
            is_in = True
        if (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            is_in = False
    return is_in


def _moments(events: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, Version]]:
    for event in events:
        for kind, text in event.items():
            try:
                yield kind, Version(str(text))
            except InvalidVersion:
                continue  # a range by something else than versions, such as commits


class Checkout:
    """A Git repository, with its files checked out or not."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, subprocess.SubprocessError where there is none."""
        self._path = path
        self.of = self._git("log", "-1", "--format=%cs").strip()
        """The day of its newest commit."""
        self._files = self._git("ls-tree", "-r", "--name-only", "HEAD", "vulns").splitlines()

    def advisories(self, packages: Iterable[tuple[str, str]]) -> dict[str, list[dict[str, Any]]]:
        """Those about these packages, by name."""
        wanted = {name for name, _ in packages}
        found: dict[str, list[dict[str, Any]]] = {}
        for file in self._files:
            name = canonicalize_name(Path(file).parent.name)
            if name in wanted and file.endswith((".yaml", ".json")):
                found.setdefault(name, []).append(yaml.safe_load(self._git("show", f"HEAD:{file}")))
        return found

    @property
    def count(self) -> int:
        """How many advisories there are, about whatever."""
        return len(self._files)

    def _git(self, *command: str) -> str:
        return subprocess.run(
            ["git", "-C", self._path, *command], capture_output=True, text=True, timeout=_SECONDS, check=True
        ).stdout


def answered() -> set[Hole]:
    """Those that have an answer."""
    known = tomllib.loads(ANSWERS.read_text())
    packages = {id: each["locked"].partition("==") for id, each in known.items() if each["why"]}
    return {Hole(name, version, id) for id, (name, _, version) in packages.items()}


def main() -> int:
    """The command line."""
    packages = locked((PROJECT / lock).read_text() for lock in LOCKS)
    checkout = Checkout(Path(sys.argv[1]))
    there, known = holes(packages, checkout.advisories(packages)), answered()
    for each in sorted(there - known):
        print(f"{each.package} {each.version}: {each.advisory}, no answer in {ANSWERS.name}")
    for each in sorted(known - there):
        print(f"{each.package} {each.version}: {each.advisory} is answered, and not found any more")
    print(f"{len(packages)} packages, {checkout.count} advisories as of {checkout.of}: {len(there)} holes")
    return int(there != known)


if __name__ == "__main__":
    sys.exit(main())
