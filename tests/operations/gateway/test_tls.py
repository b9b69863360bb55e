"""HTTPS before the embedded shape and by the gateway, with a real authority made for the test, and real clients."""

import datetime as dt
import ipaddress
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.parts import need
from tests.patience import eventually
from tests.served import KEY, environment, gateway, serve
from typer.testing import CliRunner

from cludale.services import NAMES
from cludale_operations.cli import app, release
from cludale_operations.gateway import certificates as shown
from cludale_operations.release.reachable import wait_until_reachable
from cludale_operations.release.smoke import smoked

pytestmark = pytest.mark.slow


def certificates(folder: Path) -> tuple[Path, Path]:
    """An authority's certificate, and one that it signed for this machine, with its key."""
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority, here = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)]) for each in ("ca", "localhost"))

    def begun(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(authority).public_key(public)
        return made.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)

    root = begun(authority, authority_key.public_key()).add_extension(x509.BasicConstraints(True, None), critical=True)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = begun(here, key.public_key()).add_extension(names, critical=False)
    pem = serialization.Encoding.PEM
    root_file, server_file = folder / "ca.pem", folder / "server.pem"
    root_file.write_bytes(root.sign(authority_key, hashes.SHA256()).public_bytes(pem))
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    server_file.write_bytes(leaf.sign(authority_key, hashes.SHA256()).public_bytes(pem) + plain)
    return root_file, server_file


class Secured(NamedTuple):
    """The platform behind HTTPS."""

    url: str
    plain_url: str
    folder: Path

    def trusting(self) -> ssl.SSLContext:
        """Who knows the authority, as it is now."""
        return ssl.create_default_context(cafile=str(self.folder / "ca.pem"))

    @property
    def certificate(self) -> Path:
        return self.folder / "server.pem"


@pytest.fixture(scope="module", params=["serve", "gateway"])
def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    need("haproxy")
    folder = tmp_path_factory.mktemp("tls with a space")
    _, server = certificates(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        plain = free.getsockname()[1]
    settings = {
        "CLUDALE_TLS_CERTIFICATE": str(server),
        "CLUDALE_REDIRECT_PORT": str(plain),
        "CLUDALE_HSTS_SUBDOMAINS": "1",
    }
    with ExitStack() as stack:
        if request.param == "serve":
            served = stack.enter_context(serve(folder / "data", settings=settings))
        else:
            behind = stack.enter_context(serve(folder / "behind"))
            routes = {name: {"backends": [{"url": behind.url}]} for name in NAMES}
            (folder / "data").mkdir()
            pages = {"CLUDALE_PAGES_URL": behind.url}
            served = stack.enter_context(gateway(folder / "data", routes, settings | pages))
        port = served.url.rpartition(":")[2]
        yield Secured(f"https://localhost:{port}", f"http://localhost:{plain}", folder)


def test_it_is_spoken_and_browsers_are_told_to_stay_with_it(secured: Secured) -> None:
    with httpx.Client(base_url=secured.url, verify=secured.trusting(), timeout=10) as client:
        answer = client.get("/staff/sign-in")
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"
        assert "includeSubDomains" not in shown.hsts(subdomains=False)
        assert answer.headers["content-security-policy"].count("frame-ancestors") == 1
        assert "Secure" in answer.headers["set-cookie"]
        assert client.get("/livez", headers={"x-forwarded-proto": "http"}).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(secured.url, timeout=10)  # who does not know the authority does not come in


def test_plain_http_leads_there_with_all_that_was_asked(secured: Secured) -> None:
    answer = httpx.post(f"{secured.plain_url}/staff/sign-in?a=b", timeout=10)
    assert (answer.status_code, answer.headers["location"]) == (308, f"{secured.url}/staff/sign-in?a=b")


def test_a_program_that_asks_the_api_in_clear_is_not_led_on_but_told(secured: Secured) -> None:
    for path in ("/orders?a=b", "/concerts/-/keys"):
        answer = httpx.get(f"{secured.plain_url}{path}", timeout=10)
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
        assert answer.json()["title"] == "The API is asked by HTTPS"


def test_a_release_and_a_rehearsal_find_the_way_there_by_the_settings(
    secured: Secured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = environment(tmp_path, CLUDALE_TLS_CERTIFICATE=str(secured.certificate), CLUDALE_ORGANIZER_KEY=KEY)
    own["CLUDALE_PORT"] = secured.url.rpartition(":")[2]
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    green = release.gateway_driver(None, tmp_path / "gateway.json").try_address("green")
    assert green.url == secured.url.replace("localhost", "127.0.0.1")
    wait_until_reachable(green, within_seconds=0)
    assert smoked(green._replace(headers={}), KEY) == []  # nothing is called green here
    said = CliRunner().invoke(app, ["rehearse", "--seats", "2", "--buyers", "4", "--json"])
    assert (said.exit_code, json.loads(said.stdout)["accepted"]) == (0, 2), said.output


def test_ciphers_without_forward_secrecy_are_refused(secured: Secured) -> None:
    for cipher, is_taken in (("ECDHE-ECDSA-AES128-GCM-SHA256", True), ("ECDHE-ECDSA-AES128-SHA256", False)):
        chosen = secured.trusting()
        chosen.maximum_version = ssl.TLSVersion.TLSv1_2
        chosen.set_ciphers(cipher)
        with nullcontext() if is_taken else pytest.raises(httpx.ConnectError):
            assert httpx.get(f"{secured.url}/livez", verify=chosen, timeout=10).status_code == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_what_is_older_than_tls_1_2_is_refused(secured: Secured) -> None:
    old = ssl.create_default_context()
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError, httpx.ConnectError)):
        httpx.get(secured.url, verify=old, timeout=10)


def test_a_certificate_that_is_renewed_is_shown_without_a_restart(secured: Secured) -> None:
    def is_known() -> bool:
        try:
            return httpx.get(f"{secured.url}/livez", verify=secured.trusting(), timeout=10).status_code == 200
        except httpx.ConnectError:
            return False

    with httpx.Client(base_url=secured.url, verify=secured.trusting(), timeout=10) as before:
        assert before.get("/livez").status_code == 200
        secured.certificate.write_text("half written")
        time.sleep(1.5)
        assert is_known()  # what can't be used is not
        certificates(secured.folder)  # of another authority, too
        assert eventually(is_known)
        assert before.get("/livez").status_code == 200  # over the connection that was open all the time


@pytest.mark.parametrize("command", [["serve"], ["gateway", "--config", "gateway.json"]])
def test_a_certificate_that_can_not_be_used_is_one_clear_line(command: list[str], tmp_path: Path) -> None:
    need("haproxy")
    wrong = tmp_path / "no.pem"
    wrong.write_text("no certificate")
    (tmp_path / "gateway.json").write_text('{"services": {}}')
    tried = subprocess.run(
        [sys.executable, "-m", "cludale_operations", *command],
        cwd=tmp_path,
        env=environment(tmp_path / "data", CLUDALE_TLS_CERTIFICATE=str(wrong)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert tried.returncode != 0
    assert "no.pem can't be used" in tried.stderr
    assert "CLUDALE_TLS_CERTIFICATE" in tried.stderr
    assert "Traceback" not in tried.stderr


async def test_a_proxy_that_says_nothing_of_its_certificate_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shown, "CHECK_SECONDS", 0.1)
    with pytest.raises(shown.NoHttps, match="says nothing"):
        await shown.check(["sleep", "60"], tmp_path / "server.pem", tmp_path, [])
