"""What the tests need of the system, which only root can install: `tools/system.py quick|all` says what is missing.

It says so with the line that brings it, and is content: tests that need it are left out. With CI=true nothing may be
left out, so there root has it installed with apt-get, and anyone else ends with status 1.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")
"""Where Debian has programs that are not on everyone's PATH."""


class Wanted(NamedTuple):
    """Something of the system's."""

    packages: str
    """Debian's, with blanks between them."""
    purpose: str
    is_quick: bool
    """Does `make test` need it, or only `make test-all`?"""
    programs: Sequence[str] = ()
    files: Sequence[str] = ()
    """Patterns, of which one is enough."""

    def is_here(self) -> bool:
        """Are all programs and one of the files here?"""
        path = os.pathsep.join((os.environ.get("PATH", ""), *FOLDERS))
        if not all(shutil.which(program, path=path) for program in self.programs):
            return False
        return not self.files or self.file() is not None

    def file(self) -> Path | None:
        """The first file that is here."""
        for pattern in self.files:
            for found in sorted(Path("/").glob(pattern.lstrip("/"))):
                return found
        return None


WANTED = {
    "strace": Wanted("strace", "writes and syncs that fail", is_quick=True, programs=("strace",)),
    "libfaketime": Wanted(
        "libfaketime",
        "clocks that jump",
        is_quick=True,
        files=tuple(
            f"{folder}/{within}faketime/libfaketimeMT.so.1"
            for folder in ("/usr/lib", "/usr/local/lib", "/lib")
            for within in ("*/", "")
        ),
    ),
    "curl": Wanted("curl", "clients that offer HTTP/2", is_quick=True, programs=("curl",)),
    "java": Wanted("default-jdk-headless", "clients that offer HTTP/2", is_quick=False, programs=("java", "javac")),
    "cosmos-emulator": Wanted("nodejs npm", "an emulator of Cosmos DB", is_quick=False, programs=("node", "npm")),
    "oidc-provider": Wanted("nodejs npm", "an OpenID Connect issuer", is_quick=False, programs=("node", "npm")),
    "chromium": Wanted("chromium", "pages in a browser", is_quick=False, programs=("chromium",)),
    "firefox-esr": Wanted("firefox-esr", "pages in a second browser", is_quick=False, programs=("firefox-esr",)),
    "rabbitmq-server": Wanted("rabbitmq-server", "the second broker", is_quick=False, programs=("rabbitmq-server",)),
}
"""By the name that a test asks for it with: `need("strace")`."""


def main(which: str) -> int:
    """Say what is missing of `quick` or `all`, or install it; the status to end with."""
    missing = [each for each in WANTED.values() if (which == "all" or each.is_quick) and not each.is_here()]
    if not missing:
        return 0
    packages = [package for each in missing for package in each.packages.split()]
    line = f"apt-get install {' '.join(packages)}"
    for each in missing:
        print(f"Not on this machine: {each.packages} ({each.purpose})", file=sys.stderr)
    if not os.environ.get("CI"):
        print(f"Tests that need it are left out. As root, this brings it: {line}", file=sys.stderr)
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"In CI nothing is left out. As root, this brings it: {line}", file=sys.stderr)
        return 1
    print(f"In CI nothing is left out: {line}", file=sys.stderr, flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], check=True, env=quiet)
    subprocess.run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages], check=True, env=quiet)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
