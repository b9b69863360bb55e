"""The file of a backup: what went in comes out, for whoever has the key, and anything else is said."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest

from cludale_operations.backup import archive, database
from cludale_operations.backup.archive import BrokenArchive, Kind, Manifest, UnusableKey
from cludale_operations.backup.folder import CannotCopy

CONTENT = {"cludale.db": b"orders " * 50_000, "token.key": b"secret", "nothing.db": b""}


def silent(_stage: str, _done: int, _total: int) -> None:
    """Nobody looks on."""


@pytest.fixture
def identity(tmp_path: Path) -> archive.Identity:
    archive.new_identity(tmp_path / "backup.key")
    return archive.read_identity(tmp_path / "backup.key")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "original"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in CONTENT]


@pytest.fixture
def made(tmp_path: Path, files: list[Path], identity: archive.Identity) -> Path:
    to = tmp_path / "a.backup"
    archive.write(files, Kind.FOLDER, to, [identity.to_public()], release="1.2.3", tell=silent)
    return to


def test_what_went_in_comes_out(made: Path, identity: archive.Identity, tmp_path: Path) -> None:
    back = tmp_path / "back"
    back.mkdir()
    manifest = archive.read(made, identity, into=back, tell=silent)
    assert {file.name: file.read_bytes() for file in back.iterdir()} == CONTENT
    assert [each.name for each in manifest.members] == list(CONTENT)
    assert (manifest.kind, manifest.release) == (Kind.FOLDER, "1.2.3")
    assert manifest.size == sum(map(len, CONTENT.values()))


def test_it_is_a_file_that_others_programs_for_age_tar_and_gzip_read(made: Path, identity: archive.Identity) -> None:
    plain = pyrage.decrypt(made.read_bytes(), [identity])
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:gz") as found:
        assert found.getnames() == ["backup.json", *CONTENT]


def test_no_word_of_what_is_in_it_can_be_read_without_the_key(made: Path) -> None:
    assert not any(word in made.read_bytes() for word in (b"orders", b"secret", b"cludale", b"token"))


def test_only_its_owner_reads_the_file_and_the_key(made: Path, tmp_path: Path) -> None:
    assert made.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "backup.key").stat().st_mode & 0o777 == 0o600


def test_another_key_does_not_read_it(made: Path) -> None:
    with pytest.raises(BrokenArchive, match="No matching keys"):
        archive.read(made, pyrage.x25519.Identity.generate(), tell=silent)
    with pytest.raises(BrokenArchive, match="No matching keys"):
        archive.manifest_of(made, pyrage.x25519.Identity.generate())


def test_each_of_several_recipients_reads_it(files: list[Path], tmp_path: Path) -> None:
    several = [pyrage.x25519.Identity.generate() for _ in range(3)]
    to = tmp_path / "for-three"
    archive.write(files, Kind.FOLDER, to, [each.to_public() for each in several], release="1", tell=silent)
    for each in several:
        assert len(archive.read(to, each, tell=silent).members) == 3


@pytest.mark.parametrize("place", [0.3, 0.7, 1.0])
def test_a_byte_that_changed_is_noticed(made: Path, identity: archive.Identity, place: float) -> None:
    content = bytearray(made.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    made.write_bytes(content)
    with pytest.raises(BrokenArchive):
        archive.read(made, identity, tell=silent)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.999])
def test_a_file_that_was_cut_off_is_noticed(made: Path, identity: archive.Identity, kept: float) -> None:
    content = made.read_bytes()
    made.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(BrokenArchive):
        archive.read(made, identity, tell=silent)


def test_what_it_says_of_itself_is_read_without_the_rest(made: Path, identity: archive.Identity) -> None:
    assert archive.manifest_of(made, identity) == archive.read(made, identity, tell=silent)


def packed(members: list[tuple[str, bytes]], named: list[tuple[str, bytes]], *, form: int = 1) -> bytes:
    """An archive with these members, whose first names others."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as out:
        said = _manifest(named, form)
        for name, content in [("backup.json", said), *members]:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            out.addfile(header, io.BytesIO(content))
    return whole.getvalue()


def _manifest(named: list[tuple[str, bytes]], form: int) -> bytes:
    return json.dumps(
        {
            "format": form,
            "kind": "folder",
            "madeAt": "2026-01-01T00:00:00Z",
            "release": "1",
            "members": [
                {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                for name, content in named
            ],
        }
    ).encode()


@pytest.mark.parametrize(
    ("plain", "why"),
    [
        pytest.param(packed([("a", b"1")], [("a", b"2")]), "SHA-256 differs", id="other content"),
        pytest.param(packed([("a", b"1")], [("a", b"12")]), "is not what", id="other size"),
        pytest.param(packed([("a", b"1"), ("b", b"")], [("a", b"1")]), "is not what", id="one too many"),
        pytest.param(packed([("a", b"1")], [("a", b"1"), ("b", b"")]), "b is missing", id="one too few"),
        pytest.param(packed([("b/a", b"1")], [("b/a", b"1")]), "no name of a file", id="a name with a folder"),
        pytest.param(packed([], [], form=2), "form 2", id="a later form"),
        pytest.param(b"no archive", "can't be read|Not a gzipped file", id="no archive"),
    ],
)
def test_an_archive_that_is_not_what_it_says_is_refused(
    plain: bytes, why: str, identity: archive.Identity, tmp_path: Path
) -> None:
    file, into = tmp_path / "wrong", tmp_path / "into"
    file.write_bytes(pyrage.encrypt(plain, [identity.to_public()]))
    into.mkdir()
    with pytest.raises(BrokenArchive, match=why):
        archive.read(file, identity, into=into, tell=silent)


def test_a_backup_that_is_there_already_stays(made: Path, files: list[Path], identity: archive.Identity) -> None:
    before = made.read_bytes()
    with pytest.raises(FileExistsError):
        archive.write(files, Kind.FOLDER, made, [identity.to_public()], release="1", tell=silent)
    assert made.read_bytes() == before
    assert [file.name for file in made.parent.glob("*.unfinished")] == []


def test_a_file_that_is_altered_while_it_is_read_makes_no_backup(
    files: list[Path], identity: archive.Identity, tmp_path: Path
) -> None:
    """As would a disk that gives back something else than what was written."""

    def alter(stage: str, _done: int, _total: int) -> None:
        if stage == "encrypting":
            files[1].write_bytes(b"SECRET")

    to = tmp_path / "altered"
    with pytest.raises(BrokenArchive, match=r"token\.key is not what was put in"):
        archive.write(files, Kind.FOLDER, to, [identity.to_public()], release="1", tell=alter)
    assert not to.exists()


def test_how_far_it_is_is_told(made: Path, identity: archive.Identity) -> None:
    told: list[tuple[int, int]] = []
    tell: Callable[[str, int, int], None] = lambda _stage, done, total: told.append((done, total))  # noqa: E731
    manifest: Manifest = archive.read(made, identity, tell=tell)
    assert told[-1] == (manifest.size, manifest.size)
    assert told == sorted(told)


@pytest.mark.parametrize("text", ["", "age1", "ssh-ed25519 AAAA", "AGE-SECRET-KEY-1"])
def test_what_is_no_recipient_is_said(text: str) -> None:
    with pytest.raises(UnusableKey, match="no recipient"):
        archive.recipient(text)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "AGE-SECRET-KEY-1\nAGE-SECRET-KEY-1\n", "age1xyz\n"])
def test_what_is_no_identity_is_said(text: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.key"
    file.write_text(text)
    with pytest.raises(UnusableKey, match=r"wrong\.key"):
        archive.read_identity(file)


def test_a_dump_that_does_not_end_is_given_up_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "pg_dump"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o700)
    monkeypatch.setattr(database, "find", lambda _: program)
    monkeypatch.setattr(database, "DUMP_SECONDS", 0.2)
    with pytest.raises(CannotCopy, match="pg_dump: no end in"):
        database.dump("postgresql://nobody@127.0.0.1/nothing", tmp_path, lambda *_: None)
