"""The certificate that HAProxy shows: its lines in a configuration, and another one taken while it runs."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cludale.services import NAMES
from cludale_operations.gateway.runtime import GatewayRefused, Runtime

_log = logging.getLogger(__name__)

HSTS_SECONDS: Final = 63_072_000
NO_FRAME: Final = (
    "http-after-response set-header content-security-policy \"frame-ancestors 'none'\" "
    "if !{ res.hdr(content-security-policy) -m found }"
)
"""What HAProxy answers by itself is shown in nobody's page, either."""
CIPHERS: Final = ":".join(
    (
        *("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        *("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
        *("ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"),
    )
)
"""Those of TLS 1.2, as Mozilla's intermediate profile has them: with forward secrecy, none with CBC."""
CIPHER_SUITES: Final = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
"""Those of TLS 1.3."""


def hsts(*, subdomains: bool) -> str:
    """The line by which browsers stay with HTTPS; for the hosts below this one, too, where `subdomains`."""
    more = "; includeSubDomains" if subdomains else ""
    return f'http-after-response set-header strict-transport-security "max-age={HSTS_SECONDS}{more}"'


CHECK_SECONDS: Final = 20.0
_HTTPS_ONLY: Final = (
    '{\\"type\\":\\"about:blank\\",\\"title\\":\\"The API is asked by HTTPS\\",\\"status\\":403,'
    '\\"detail\\":\\"What was sent here was in clear for all on its way: change the address to https, '
    'and a key or token that came along, too.\\"}'
)
LOOK_SECONDS: Final = 1.0
"""How often it is looked whether the file has changed."""
_COMMITTED: Final = "Success!"


class NoHttps(Exception):
    """HAProxy does not start with this certificate; the message says why."""


def bind(descriptor: int, certificate: Path) -> str:
    """The line of HAProxy's configuration by which it takes TLS at an inherited socket."""
    shown = f"bind fd@{descriptor} ssl crt {escaped(certificate)} ssl-min-ver TLSv1.2 alpn http/1.1"
    return f"{shown} ciphers {CIPHERS} ciphersuites {CIPHER_SUITES}"


def redirect(descriptor: int, port: int, *, defaults: str) -> Iterator[str]:
    """The lines of a frontend that leads plain HTTP to HTTPS at `port`; `defaults`: the section that it is from.

    Browsers alone are led there. A program that asks the API by HTTP, and shows its key on the way, is to notice.
    """
    yield f"frontend plain from {defaults}"
    yield f"    bind fd@{descriptor}"
    yield f"    acl api path,field(2,/) -m str {' '.join(NAMES)}"
    yield f'    http-request return status 403 content-type application/problem+json string "{_HTTPS_ONLY}" if api'
    at = "" if port == 443 else f":{port}"
    yield f"    http-request redirect code 308 location https://%[req.hdr(host),host_only]{at}%[pathq]"


async def check(argv: Sequence[str | Path], certificate: Path, folder: Path, descriptors: Sequence[int]) -> None:
    """Have HAProxy look at its configuration, by this command in `folder`. Raises NoHttps."""
    looked = await asyncio.create_subprocess_exec(
        *argv, cwd=folder, pass_fds=descriptors, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            said, _ = await looked.communicate()
    except TimeoutError:
        looked.kill()
        await looked.wait()
        raise NoHttps(f"HAProxy says nothing of {certificate} within {CHECK_SECONDS:g} s") from None
    if looked.returncode != 0:
        raise NoHttps(f"{certificate} can't be used: {_reason(said.decode(errors='replace'))}")


def _reason(said: str) -> str:
    """What HAProxy says is wrong, in its own words."""
    lines = [line.partition(": ")[2] or line for line in said.splitlines() if "ALERT" in line]
    return lines[0] if lines else "HAProxy does not say why"


async def keep_current(certificate: Path, runtime: Runtime) -> None:
    """Have HAProxy show what is in the file, for ever: connections that are open stay, new ones get the new one.

    What HAProxy does not take is logged, and tried again; the certificate before it stays.
    """
    shown = _state(certificate)
    is_said = False
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        found = _state(certificate)
        if found is None or found == shown:
            continue
        try:
            await asyncio.to_thread(_show, certificate, runtime)
        except (OSError, GatewayRefused) as error:
            if not is_said:
                _log.error("%s is not taken, so the certificate before it stays: %s", certificate, error)
            is_said = True
        else:
            shown, is_said = found, False
            _log.warning("HTTPS is spoken with the new certificate in %s", certificate)


def _state(certificate: Path) -> tuple[int, int, int] | None:
    """What differs once the file, or what it is a link to, has changed; None while there is none."""
    try:
        found = certificate.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _show(certificate: Path, runtime: Runtime) -> None:
    """Raises OSError, GatewayRefused."""
    _give("cert", certificate, runtime)


def trust(certificate: Path, runtime: Runtime) -> None:
    """Have HAProxy know a certificate that a server shows, whether it knew one by that name before or not, so that a
    server can be added that names it. Raises OSError, GatewayRefused.
    """
    runtime.told(f"new ssl ca-file {escaped(certificate)}")  # refused where there is one
    _give("ca-file", certificate, runtime)


def _give(kind: str, file: Path, runtime: Runtime) -> None:
    """Raises OSError, GatewayRefused."""
    name = escaped(file)
    lines = (line for line in file.read_text().splitlines() if line.strip())  # an empty line would end it
    said = runtime.told(f"set ssl {kind} {name} <<\n{chr(10).join(lines)}\n")
    committed = runtime.told(f"commit ssl {kind} {name}")
    if _COMMITTED not in committed:
        runtime.told(f"abort ssl {kind} {name}")
        raise GatewayRefused(" ".join(f"{said} {committed}".split()))


def escaped(certificate: Path) -> str:
    """A path as HAProxy wants it written."""
    return str(certificate).replace("\\", "\\\\").replace(" ", "\\ ")
