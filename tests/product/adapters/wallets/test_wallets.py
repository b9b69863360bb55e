"""Passes for wallets, against keys that are made here: `openssl` and another JWT library look at them."""

import hashlib
import io
import subprocess
import zipfile
from base64 import urlsafe_b64decode
from datetime import timedelta
from pathlib import Path
from shutil import which

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import RSAKey
from tests.fakes import NOON, ManualClock

from cludale.adapters.wallets.apple import ApplePasses, UnusableCertificate
from cludale.adapters.wallets.google import SAVE, GoogleLinks, UnusableAccount
from cludale.adapters.wallets.kept import KeptWallets
from cludale.kernel.times import rfc3339
from cludale.ports.wallets import WalletTicket

TICKET = WalletTicket(
    id="ticket-01a22746ce4d7449b8fcee6b00441a66.2",
    generation=1,
    concert_id="larks-2027",
    title="Larks at the Olympia, a Summer Evening",
    artist="Larks",
    begins=NOON,
    day="1 June 2027",
    doors=NOON - timedelta(hours=1),
    valid_until=NOON + timedelta(days=1),
    venue="Olympia",
    section="Stalls",
    number=2,
    quantity=4,
    holder="Zoë Ray",
    code="6BF" * 80,
    organizer="acme",
)


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(
    key: rsa.RSAPrivateKey, by: rsa.RSAPrivateKey, names: dict[x509.ObjectIdentifier, str], issuer: str
) -> bytes:
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names.items()])
    above = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    builder = x509.CertificateBuilder(above, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOON - timedelta(days=400)).not_valid_after(NOON + timedelta(days=4_000))
    is_above = key is by
    builder = builder.add_extension(x509.BasicConstraints(ca=is_above, path_length=None), critical=True)
    return builder.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wallets")
    above, own = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    top = _certificate(above, above, {NameOID.COMMON_NAME: "made here"}, "made here")
    names = {
        NameOID.USER_ID: "pass.org.example.tickets",
        NameOID.ORGANIZATIONAL_UNIT_NAME: "TEAM123456",
        NameOID.COMMON_NAME: "Pass",
    }
    (folder / "pass.pem").write_bytes(_pem(own) + _certificate(own, above, names, "made here") + top)
    (folder / "plain.pem").write_bytes(_pem(above) + top)
    (folder / "other.pem").write_bytes(_pem(above) + _certificate(own, above, names, "made here"))
    (folder / "above.pem").write_bytes(top)
    account = {"client_email": "tickets@example.iam.gserviceaccount.com", "private_key": _pem(own).decode()}
    (folder / "google.json").write_bytes(msgspec.json.encode(account))
    return folder


def test_a_pass_has_what_the_format_wants_and_its_hashes_are_right(folder: Path) -> None:
    made = ApplePasses(folder / "pass.pem", now=NOON).made(TICKET)
    with zipfile.ZipFile(io.BytesIO(made)) as pack:
        files = {name: pack.read(name) for name in pack.namelist()}
    manifest = msgspec.json.decode(files["manifest.json"])
    assert manifest.keys() == files.keys() - {"manifest.json", "signature"}
    assert all(hashlib.sha1(files[name]).hexdigest() == told for name, told in manifest.items())
    said = msgspec.json.decode(files["pass.json"])
    assert (said["passTypeIdentifier"], said["teamIdentifier"]) == ("pass.org.example.tickets", "TEAM123456")
    assert said["barcodes"][0]["message"] == TICKET.code
    assert said["serialNumber"] == f"{TICKET.id}.1"
    shown = {each["key"]: each["value"] for each in said["eventTicket"]["secondaryFields"]}
    assert (shown["when"], shown["doors"]) == (said["relevantDate"], rfc3339(NOON - timedelta(hours=1)))
    assert files["icon.png"].startswith(b"\x89PNG")


def test_a_pass_of_a_concert_whose_time_is_not_known_says_its_day_and_is_relevant_at_no_time(folder: Path) -> None:
    made = ApplePasses(folder / "pass.pem", now=NOON).made(TICKET._replace(begins=None, doors=None))
    with zipfile.ZipFile(io.BytesIO(made)) as pack:
        said = msgspec.json.decode(pack.read("pass.json"))
    assert "relevantDate" not in said
    when, *_ = said["eventTicket"]["secondaryFields"]
    assert (when["label"], when["value"], "timeStyle" in when) == ("Date", TICKET.day, False)


@pytest.mark.skipif(which("openssl") is None, reason="openssl looks at the signature")
@pytest.mark.parametrize("is_changed", [False, True])
def test_openssl_verifies_the_signature_and_no_other_manifest(folder: Path, tmp_path: Path, is_changed: bool) -> None:
    with zipfile.ZipFile(io.BytesIO(ApplePasses(folder / "pass.pem", now=NOON).made(TICKET))) as pack:
        pack.extractall(tmp_path)
    if is_changed:
        (tmp_path / "manifest.json").write_bytes((tmp_path / "manifest.json").read_bytes() + b" ")
    command = [
        "openssl",
        "cms",
        "-verify",
        "-binary",
        "-inform",
        "DER",
        "-in",
        "signature",
        "-content",
        "manifest.json",
    ]
    command += ["-CAfile", str(folder / "above.pem"), "-purpose", "any", "-out", "/dev/null"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode != 0) is is_changed, done.stderr


def test_a_certificate_that_is_none_for_passes_or_of_another_key_or_over_is_refused(folder: Path) -> None:
    for name, now in (
        ("plain.pem", NOON),
        ("other.pem", NOON),
        ("above.pem", NOON),
        ("pass.pem", NOON.replace(year=2090)),
    ):
        with pytest.raises(UnusableCertificate):
            ApplePasses(folder / name, now=now)


def test_a_google_link_is_signed_and_short_enough_for_any_browser(folder: Path) -> None:
    link = GoogleLinks(folder / "google.json", issuer="3388000000012345678").link(TICKET, now=NOON)
    token = link.removeprefix(SAVE)
    assert len(link) <= 1_800
    key = RSAKey.import_key(msgspec.json.decode((folder / "google.json").read_bytes())["private_key"])
    said = jwt.decode(token, key, algorithms=["RS256"]).claims
    (kind,), (saved,) = said["payload"]["eventTicketClasses"], said["payload"]["eventTicketObjects"]
    assert said["typ"] == "savetowallet"
    assert saved["classId"] == kind["id"] == "3388000000012345678.larks-2027"
    assert saved["barcode"]["value"] == TICKET.code
    assert kind["dateTime"]["doorsOpen"] == rfc3339(NOON - timedelta(hours=1))
    assert "ticketHolderName" not in saved  # it would be too long with it
    with pytest.raises(UnusableAccount):
        GoogleLinks(folder / "pass.pem", issuer="1")


def test_a_google_link_of_a_concert_whose_time_is_not_known_says_its_day(folder: Path) -> None:
    day_only = TICKET._replace(begins=None, doors=None)
    link = GoogleLinks(folder / "google.json", issuer="1").link(day_only, now=NOON)
    claims = link.removeprefix(SAVE).split(".")[1]
    (kind,) = msgspec.json.decode(urlsafe_b64decode(claims + "=="))["payload"]["eventTicketClasses"]
    assert "dateTime" not in kind
    assert [each["body"] for each in kind["textModulesData"]] == [TICKET.day]


async def test_only_what_is_set_up_is_there(folder: Path) -> None:
    none = KeptWallets(apple_pem=None, google_key=None, google_issuer=None, clock=ManualClock())
    assert (none.has_apple, none.has_google) == (False, False)
    with pytest.raises(LookupError):
        await none.apple(TICKET)
    some = KeptWallets(
        apple_pem=folder / "pass.pem", google_key=folder / "google.json", google_issuer="1", clock=ManualClock()
    )
    assert (some.has_apple, some.has_google) == (True, True)
    assert (await some.google(TICKET)).startswith(SAVE)
    assert (await some.apple(TICKET)).startswith(b"PK")
