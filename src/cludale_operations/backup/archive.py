"""The file of a backup: a tar archive, compressed, encrypted by age (https://age-encryption.org/v1).

Its first member, `backup.json`, names all others with their sizes and SHA-256 digests. It is encrypted for a
recipient, whose identity (a secret) is needed to read it, and is not on the machine that makes backups.
"""

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from threading import Thread
from typing import IO, Any, BinaryIO, TypeAlias, TypeVar

import msgspec
import pyrage

from cludale.adapters.system.folders import sync_folder

MANIFEST = "backup.json"
FORMAT = 1
"""What a program must know to read it: a greater number is another form."""
_MANIFEST_BYTES = 1 << 20
_CHUNK = 1 << 20
_CUT_OFF = (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, msgspec.DecodeError)
_COMPRESSION = 1
"""gzip's fastest level: a store is mostly text that repeats itself."""

Tell = Callable[[str, int, int], None]
"""What is being done, and how many bytes of how many are done."""


Taken = TypeVar("Taken")


class Kind(StrEnum):
    """What was copied."""

    FOLDER = "folder"
    DATABASE = "database"


class Member(msgspec.Struct, frozen=True, rename="camel"):
    """One file in a backup."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What a backup says of itself."""

    format: int = FORMAT
    kind: Kind
    made_at: datetime
    release: str
    members: list[Member]

    @property
    def size(self) -> int:
        """Bytes of all members together."""
        return sum(each.size for each in self.members)


class BrokenArchive(Exception):
    """The file is not a whole backup, or not one for this identity; the message says what is wrong."""


class UnusableKey(Exception):
    """A recipient or an identity that age can't use; the message says which."""


Recipient: TypeAlias = pyrage.x25519.Recipient
Identity: TypeAlias = pyrage.x25519.Identity


def recipient(text: str) -> Recipient:
    """The public half of a key, `age1…`. Raises UnusableKey."""
    try:
        return pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError as error:
        raise UnusableKey(f"{text!r} is no recipient of age ({error}); one begins with age1") from error


def read_identity(file: Path) -> Identity:
    """The secret half, from a file such as age-keygen writes: comments, and one line. Raises UnusableKey, OSError."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if len(found) != 1:
        raise UnusableKey(f"{file} has {len(found)} keys; an identity's file has one line AGE-SECRET-KEY-1…")
    try:
        return pyrage.x25519.Identity.from_str(found[0])
    except pyrage.IdentityError as error:
        raise UnusableKey(f"{file} holds no identity of age ({error}); one begins with AGE-SECRET-KEY-1") from error


def new_identity(file: Path) -> str:
    """Make a key pair: the secret goes into a new file that only its owner reads. The recipient. Raises OSError."""
    made = pyrage.x25519.Identity.generate()
    public = str(made.to_public())
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(f"# reads backups that were made for this recipient: {public}\n{made}\n")
    return public


def write(
    files: Sequence[Path], kind: Kind, to: Path, recipients: Sequence[Recipient], *, release: str, tell: Tell
) -> Manifest:
    """Put the files into a new archive, and read it back. Their order is kept; their names are its members'.

    It is encrypted for a key of this moment, too, by which it is read back and which nobody keeps. It has its name only
    once it is whole, was read and is on the disk. Raises BrokenArchive if what was read back differs, OSError.
    """
    moment = pyrage.x25519.Identity.generate()
    manifest = Manifest(
        kind=kind, made_at=datetime.now(UTC), release=release, members=[_member(file, tell) for file in files]
    )
    unfinished = to.with_name(to.name + ".unfinished")
    try:
        with _opened_new(unfinished) as out:
            _encrypt(lambda pipe: _pack(manifest, files, pipe, tell), out, [*recipients, moment.to_public()])
            out.flush()
            os.fsync(out.fileno())
        read(unfinished, moment, tell=tell)
        if to.exists():  # it was not when this began
            raise FileExistsError(17, "is there already", str(to))
        unfinished.rename(to)
        sync_folder(to.parent)
    finally:
        unfinished.unlink(missing_ok=True)
    return manifest


def read(file: Path, identity: Identity, *, into: Path | None = None, tell: Tell) -> Manifest:
    """Read all of it, and hold each member against its digest; with `into`, a folder, the members are written there.

    Nothing but plain names from the manifest is ever written. Raises BrokenArchive, OSError.
    """
    return _decrypted(file, identity, lambda plain: _unpack(plain, into, tell), whole=True)


def manifest_of(file: Path, identity: Identity) -> Manifest:
    """What it says of itself, without reading the rest. Raises BrokenArchive, OSError."""

    def first(plain: BinaryIO) -> Manifest:
        with tarfile.open(fileobj=plain, mode="r|") as archive:
            return _manifest(archive)

    return _decrypted(file, identity, first, whole=False)


def _member(file: Path, tell: Tell) -> Member:
    digest, done, size = hashlib.sha256(), 0, file.stat().st_size
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            tell(f"digest of {file.name}", done, size)
    return Member(file.name, done, digest.hexdigest())


def _pack(manifest: Manifest, files: Sequence[Path], pipe: BinaryIO, tell: Tell) -> None:
    """Write the archive into the pipe."""
    with (
        gzip.GzipFile(fileobj=pipe, mode="wb", compresslevel=_COMPRESSION, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        said = msgspec.json.format(msgspec.json.encode(manifest))
        archive.addfile(_header(MANIFEST, len(said)), io.BytesIO(said))
        done = 0

        def count(size: int) -> None:
            nonlocal done
            done += size
            tell("encrypting", done, manifest.size)

        for file, member in zip(files, manifest.members, strict=True):
            with file.open("rb") as content:
                archive.addfile(_header(member.name, member.size), _Counted(content, count))


def _header(name: str, size: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mode = size, 0o600
    return header


class _Counted(io.RawIOBase):
    """A file that is read, with the bytes counted."""

    def __init__(self, file: BinaryIO, count: Callable[[int], None]) -> None:
        super().__init__()
        self._file = file
        self._count = count

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        found = self._file.read(size)
        self._count(len(found))
        return found


def _unpack(plain: BinaryIO, into: Path | None, tell: Tell) -> Manifest:
    with tarfile.open(fileobj=plain, mode="r|") as archive:
        manifest = _manifest(archive)
        wanted, done = list(manifest.members), 0
        while (header := archive.next()) is not None:
            member = wanted.pop(0) if wanted else None
            if member is None or header.name != member.name or not header.isreg() or header.size != member.size:
                raise BrokenArchive(f"member {header.name} is not what {MANIFEST} names there")
            content = _content(archive, header)
            digest = hashlib.sha256()
            with _written(into, member.name) as out:
                while chunk := content.read(_CHUNK):
                    digest.update(chunk)
                    if out is not None:
                        out.write(chunk)
                    done += len(chunk)
                    tell("reading", done, manifest.size)
            if digest.hexdigest() != member.sha256:
                raise BrokenArchive(f"{member.name} is not what was put in: its SHA-256 differs")
        if wanted:
            raise BrokenArchive(f"{', '.join(each.name for each in wanted)} is missing at its end")
    return manifest


def _manifest(archive: tarfile.TarFile) -> Manifest:
    header = archive.next()
    if header is None or header.name != MANIFEST or header.size > _MANIFEST_BYTES:
        raise BrokenArchive(f"it does not begin with {MANIFEST}")
    said = _content(archive, header).read()
    number = msgspec.json.decode(said, type=dict[str, Any]).get("format")
    if number != FORMAT:
        raise BrokenArchive(f"it is in form {number}, and this release reads form {FORMAT}")
    manifest = msgspec.json.decode(said, type=Manifest)
    for member in manifest.members:
        if member.name in {"", ".", "..", MANIFEST} or "/" in member.name or "\\" in member.name:
            raise BrokenArchive(f"{member.name!r} is no name of a file")
    return manifest


def _content(archive: tarfile.TarFile, header: tarfile.TarInfo) -> IO[bytes]:
    found = archive.extractfile(header)
    if found is None:
        raise BrokenArchive(f"member {header.name} is no file")
    return found


@contextmanager
def _written(folder: Path | None, name: str) -> Iterator[BinaryIO | None]:
    if folder is None:
        yield None
        return
    with _opened_new(folder / name) as out:
        yield out
        out.flush()
        os.fsync(out.fileno())


@contextmanager
def _opened_new(file: Path) -> Iterator[BinaryIO]:
    """A file that only its owner reads."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w+b") as opened:
        yield opened


def _encrypt(pack: Callable[[BinaryIO], None], out: BinaryIO, recipients: Sequence[Recipient]) -> None:
    """What `pack` writes goes through a pipe, encrypted, to `out`."""
    reading, writing = os.pipe()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            with os.fdopen(writing, "wb") as pipe:
                pack(pipe)
        except BaseException as error:  # noqa: BLE001 - raised again by who waits for the thread
            failed.append(error)

    packing = Thread(target=run, name="packing a backup")
    packing.start()
    try:
        with os.fdopen(reading, "rb") as pipe:
            pyrage.encrypt_io(pipe, out, recipients)
    except pyrage.EncryptError as error:  # it says the text of what `out` raised
        raise OSError(f"it can't be written: {error}") from error
    finally:
        packing.join()
    if failed:
        raise failed[0]


def _decrypted(file: Path, identity: Identity, take: Callable[[BinaryIO], Taken], *, whole: bool) -> Taken:
    """What `take` makes of the archive within. `whole`: all of it counts, so what comes after must be sound, too."""
    reading, writing = os.pipe()
    failed: list[Exception] = []

    def run() -> None:
        with os.fdopen(writing, "wb") as pipe:
            try:
                pyrage.decrypt_io(encrypted, pipe, [identity])
            except (pyrage.DecryptError, OSError) as error:
                failed.append(error)

    with file.open("rb") as encrypted:
        decrypting = Thread(target=run, name="decrypting a backup")
        decrypting.start()
        try:
            with os.fdopen(reading, "rb") as pipe, gzip.GzipFile(fileobj=pipe, mode="rb") as plain:
                taken = take(plain)  # type: ignore[arg-type] # it is a BinaryIO in all but its declaration
                while whole and plain.read(_CHUNK):
                    pass
        except _CUT_OFF as error:
            decrypting.join()
            # who reads the pipe sees only that it ended early; why, the other end knows
            raise BrokenArchive(f"{file}: {failed[0] if failed else error}") from error
        finally:
            decrypting.join()
    if whole and failed:
        raise BrokenArchive(f"{file}: {failed[0]}")
    return taken
