"""How a program is started so that it does not outlive us, and as another user where it refuses root.

Linux's `setpriv` does both. Where it is missing (macOS), a killed supervisor leaves its children behind.
"""

import os
import pwd
import shutil
import signal
from collections.abc import Sequence
from functools import cache
from pathlib import Path

UNPRIVILEGED = ("postgres", "nobody")
"""Whom root starts a program as that refuses root: the first of them that exists."""


class NoOtherUser(Exception):
    """Root is to start a program that refuses root, and can't become another user here."""


def tethered(argv: Sequence[str | Path], *, when_orphaned: signal.Signals, user: str | None = None) -> list[str]:
    """The command that runs `argv`, gets the signal when the thread that started it ends, and runs as `user`.

    The other user may still go through folders that are only root's, such as those that tests make.
    """
    setpriv = _setpriv()
    if setpriv is None:
        if user is not None:
            raise NoOtherUser(f"{argv[0]} refuses to run as root, and there is no setpriv here (package util-linux)")
        return [str(each) for each in argv]
    command = [setpriv, f"--pdeathsig={when_orphaned.name.removeprefix('SIG')}"]
    if user is not None:
        capabilities = "-all,+dac_override"
        command += [
            f"--reuid={user}",
            f"--regid={pwd.getpwnam(user).pw_gid}",
            "--clear-groups",
            # access(2), which initdb asks about its own files, must not forget the capability
            "--securebits=+no_setuid_fixup",
            f"--inh-caps={capabilities}",
            f"--ambient-caps={capabilities}",
        ]
    return [*command, "--", *(str(each) for each in argv)]


def user_instead_of_root() -> str | None:
    """Whom to start a program as that refuses root; None if we are not root."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise NoOtherUser(f"root needs one of the users {', '.join(UNPRIVILEGED)} for programs that refuse root")


def give(folder: Path, user: str) -> None:
    """Make the folder and all in it the user's, unless it is."""
    entry = pwd.getpwnam(user)
    for each in (folder, *folder.rglob("*")):
        if each.lstat().st_uid != entry.pw_uid:
            os.chown(each, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


@cache
def _setpriv() -> str | None:
    return shutil.which("setpriv")
