"""A checkout of this project, at whatever commit: how its server is started, and what it is called in results."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, Self

from benchmarks.machine import PROJECT

_PACKAGES = ("cludale_operations", "cludale")
"""Where the command line may be, newest layout first."""


class NoCheckout(Exception):
    """There is nothing to start; the message says what was looked for."""


class Checkout(NamedTuple):
    """A tree of sources and the interpreter that runs them."""

    path: Path
    python: Path
    package: str
    """The command line is `python -m` this."""

    @classmethod
    def at(cls, path: Path) -> Self:
        """The checkout in a folder; it runs with its own `.venv` if it has one, else with this interpreter.

        Raises NoCheckout.
        """
        if not path.is_dir():
            raise NoCheckout(f"{path} is no folder")
        found = [name for name in _PACKAGES if (path / "src" / name / "__main__.py").is_file()]
        if not found:
            wanted = " nor ".join(f"src/{name}/__main__.py" for name in _PACKAGES)
            raise NoCheckout(f"{path} is no checkout of Cludale Tickets: there is neither {wanted}")
        # Not resolved: what is behind the link is the interpreter without the environment.
        own = path.absolute() / ".venv" / "bin" / "python"
        return cls(path.resolve(), own if own.is_file() else Path(sys.executable), found[0])

    @classmethod
    def here(cls) -> Self:
        """This one, which runs with this interpreter."""
        return cls.at(PROJECT)._replace(python=Path(sys.executable))

    def command(self, *arguments: str) -> list[str]:
        """What starts its command line."""
        return [str(self.python), "-m", self.package, *arguments]

    def environment(self) -> dict[str, str]:
        """Its sources before what is installed: an interpreter that is not its own has another version of them."""
        return {"PYTHONPATH": str(self.path / "src")}

    def commit(self) -> str:
        """Its commit, with a note if its sources were changed since; "no-commit" for a tree without git."""
        # A tree without git of its own may lie in another repository, whose commit says nothing of it.
        if self._git("rev-parse", "--show-toplevel") != str(self.path):
            return "no-commit"
        changed = self._git("status", "--porcelain", "--untracked-files=no", "--", "src")
        return f"{self._git('rev-parse', '--short', 'HEAD')}{'-changed' if changed else ''}"

    def python_version(self) -> str:
        """Of the interpreter that runs it: it counts, too."""
        return subprocess.run(
            [self.python, "-c", "import platform as p; print(p.python_version(), p.python_build()[1], sep=', ')"],
            capture_output=True, text=True, timeout=30, check=True,
        ).stdout.strip()  # fmt: skip

    def _git(self, *arguments: str) -> str:
        answer = subprocess.run(
            ["git", *arguments], cwd=self.path, capture_output=True, text=True, timeout=30, check=False
        )
        return answer.stdout.strip() if answer.returncode == 0 else ""
