"""The Dockerfile carried out without an engine: its steps, in a root of their own, over this machine's Python and libc.

The base image is what is not real here: this machine's /usr and Python stand for it. Everything else is as the file
says: what is copied, every RUN, the user, the environment, the command, a root that can't be written to.
Needs root (mount, chroot).
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.operations.docker.dockerfile import DOCKERFILE, Stage, is_sent, read

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc")
PYTHON = Path(sys.base_prefix)
PASSED_ON = (
    "PIP_",
    "SSL_",
    "REQUESTS_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
DEPENDENCIES = "requirements-distributed.lock"


class Image:
    """A root folder, and how to run something in it."""

    def __init__(self, root: Path, stage: Stage, data: Path) -> None:
        self.root, self.stage, self.data = root, stage, data

    def command(self, argv: Sequence[str], settings: Mapping[str, str], *, user: str | None = None) -> list[str]:
        """The command line that runs `argv` as the image says: its user, its environment, a read-only root."""
        who = user or self.stage.of("USER")[-1].rest
        environment = {**self.stage.environment, **settings}
        workdir = self.stage.of("WORKDIR")[-1].rest
        return _inside(self.root, argv, environment, workdir=workdir, user=who, data=self.data)

    @property
    def entrypoint(self) -> list[str]:
        """What is run, without arguments."""
        return self.stage.of("ENTRYPOINT")[-1].words


def build(kept: Path, work: Path) -> Image:
    """The image, in `work`. What it stands on is in `kept` until the lock, the Dockerfile or the Python changes."""
    _, (build_stage, final) = read()
    key = hashlib.sha256(Path(DEPENDENCIES).read_bytes() + DOCKERFILE.read_bytes() + sys.version.encode()).hexdigest()
    base, root, finished, data = kept / f"base-{key[:16]}", work / "built", work / "image", work / "data"
    if base.exists():
        subprocess.run(["cp", "-a", base, root], check=True, timeout=240)
    else:
        _carry_out(build_stage, root, last=DEPENDENCIES)
        for old in kept.glob("base-*"):
            shutil.rmtree(old, ignore_errors=True)
        draft = kept / f"draft-{work.name}"
        subprocess.run(["cp", "-a", root, draft], check=True, timeout=240)
        with suppress(OSError):  # another has been faster
            draft.rename(base)
        shutil.rmtree(draft, ignore_errors=True)
    _carry_out(build_stage, root, after=DEPENDENCIES)
    finished.mkdir()
    for each in final.of("COPY"):
        source, target = [word for word in each.words if not word.startswith("--")]
        (finished / target.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(root / source.lstrip("/"), finished / target.lstrip("/"))
    for each in final.of("RUN"):
        _run(finished, each.words, {"PATH": "/usr/bin:/bin"})
    owner = (finished / "data").stat()
    data.mkdir()
    os.chown(data, owner.st_uid, owner.st_gid)
    data.chmod(owner.st_mode & 0o777)
    return Image(finished, final, data)


def _carry_out(stage: Stage, root: Path, *, last: str | None = None, after: str | None = None) -> None:
    """The stage's steps up to the RUN that names `last`, or those after the one that names `after`."""
    workdir, environment, is_on = "/", {"PATH": f"{PYTHON}/bin:/usr/bin:/bin"}, after is None
    for each in stage.instructions:
        match each.keyword:
            case "ENV":
                environment |= dict(pair.split("=", 1) for pair in each.rest.split())
            case "WORKDIR":
                workdir = each.rest
                (root / workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "COPY" if is_on:
                _copy(each.words, root / workdir.lstrip("/"))
            case "RUN" if is_on:
                _run(root, each.words, environment, workdir=workdir)
        if each.keyword == "RUN" and last in each.words:
            return
        is_on = is_on or (each.keyword == "RUN" and after in each.words)


def _copy(words: Sequence[str], workdir: Path) -> None:
    *sources, target = words
    for source in sources:
        for file in _files(Path(source)):
            inner = file.relative_to(source) if Path(source).is_dir() else Path(file.name)
            to = workdir / target / inner
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)


def _files(source: Path) -> Iterator[Path]:
    found = [source] if source.is_file() else sorted(each for each in source.rglob("*") if each.is_file())
    sent = [each for each in found if is_sent(each.as_posix())]
    if not sent:
        raise FileNotFoundError(f"COPY {source}: nothing is sent of it")
    yield from sent


def _run(root: Path, argv: Sequence[str], environment: Mapping[str, str], *, workdir: str = "/") -> None:
    passed = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    if argv[0] == "python":  # as the base image calls it, and not every system does
        argv = [f"{PYTHON}/bin/python{sys.version_info.major}.{sys.version_info.minor}", *argv[1:]]
    command = _inside(root, argv, {**passed, "HOME": "/tmp", **environment}, workdir=workdir)
    done = subprocess.run(command, capture_output=True, text=True, timeout=1_200, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"RUN {shlex.join(argv)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _inside(
    root: Path,
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    workdir: str,
    user: str | None = None,
    data: Path | None = None,
) -> list[str]:
    """The command in its root. With a user: nobody's rights, and nothing can be written but the data and /tmp."""
    root = root.resolve()
    steps = ["set -e", "mount --make-rprivate /", f"mkdir -p {root}/tmp {root}/proc {root}/dev {root}{PYTHON}"]
    steps.append(f"mount --bind {root} {root}")
    for each in SYSTEM:
        if Path(each).is_symlink():
            steps.append(f"[ -e {root}{each} ] || ln -s {os.readlink(each)} {root}{each}")
        elif Path(each).is_dir():
            steps.append(f"mkdir -p {root}{each}; mount --rbind {each} {root}{each}")
    steps += [f"mount --bind {PYTHON} {root}{PYTHON}"] if not str(PYTHON).startswith("/usr") else []
    steps += [f"mount --rbind /proc {root}/proc", f"mount --rbind /dev {root}/dev", f"mount -t tmpfs tmpfs {root}/tmp"]
    rights = ""
    if user is not None:
        uid, _, gid = user.partition(":")
        rights = f"/usr/bin/setpriv --reuid {uid} --regid {gid} --clear-groups --no-new-privs --bounding-set -all"
        steps += [f"mount --bind {data} {root}/data", f"mount -o remount,bind,ro {root}"]
        steps += [f"mount -o remount,bind,ro {root}{each}" for each in ("/usr", "/etc")]
    given = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    steps.append(f"exec /usr/sbin/chroot {root} /usr/bin/env -i --chdir={workdir} {given} {rights} {shlex.join(argv)}")
    return ["unshare", "--mount", "sh", "-c", "\n".join(steps)]


@contextmanager
def started(image: Image, argv: Sequence[str], settings: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """The image's process with these arguments; ended when the test does not."""
    process = subprocess.Popen(
        image.command([*image.entrypoint, *argv], settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)
