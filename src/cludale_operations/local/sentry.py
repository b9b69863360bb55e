"""Dapr's sentry on loopback: gives the sidecars certificates, by which they know each other when they call each other.

Authority and tokens are made at each start. Sentry signs for a sidecar that shows the token of its app, and each has
that of its own alone, so none can call as another. A certificate is good for a day, and sidecars get the next by
themselves; the authority's is good for a year.
"""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar, Final

from joserfc import jwt
from joserfc.jwk import ECKey

from cludale_operations.local.find import MissingProgram, find
from cludale_operations.local.free_ports import LOOPBACK, free_ports
from cludale_operations.local.part import Launch, Part

_AUDIENCE: Final = "spiffe://localhost/ns/default/dapr-sentry"
_SUBJECT: Final = "spiffe://public/ns/default/{app_id}"
"""What sentry and daprd call themselves where nobody says otherwise."""
_SECRET_MODE = 0o600
_LISTENS_SECONDS = 2


class Sentry(Part):
    """The authority of one platform's sidecars. While it is away they go on with the certificates that they have."""

    stop_signal: ClassVar = signal.SIGTERM

    def __init__(self, folder: Path, app_ids: Collection[str], *, log: Path | None = None) -> None:
        """Everything goes into `folder`, which is emptied at the first start."""
        super().__init__("sentry", log or folder / "sentry.log")
        self.folder = folder.resolve()
        self.port, self._health_port = free_ports(2)
        self._app_ids = tuple(app_ids)
        self._is_made = False

    @property
    def address(self) -> str:
        """Where sidecars find it."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def trust_anchors(self) -> str:
        """The authority's certificate, in PEM, once it has been started. Raises OSError."""
        return (self.folder / "ca.crt").read_text()

    def token_of(self, app_id: str) -> Path:
        """The file with what an app's sidecar shows."""
        return self.folder / f"{app_id}.token"

    async def prepare(self) -> None:
        """Make tokens, and what tells whether they are good; once."""
        if self._is_made:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True)
        key = ECKey.generate_key("P-256", {"kid": "cludale"})
        for app_id in self._app_ids:
            said = {"aud": _AUDIENCE, "sub": _SUBJECT.format(app_id=app_id)}
            token = jwt.encode({"alg": "ES256", "kid": "cludale"}, said, key)
            with os.fdopen(os.open(self.token_of(app_id), os.O_WRONLY | os.O_CREAT, _SECRET_MODE), "w") as out:
                out.write(token)
        known = {"keys": [{**key.as_dict(private=False), "alg": "ES256"}]}
        validator = {"name": "jwks", "options": {"source": json.dumps(known)}}
        configuration = {
            "apiVersion": "dapr.io/v1alpha1",
            "kind": "Configuration",
            "metadata": {"name": "cludale"},
            "spec": {"mtls": {"enabled": True, "tokenValidators": [validator]}},
        }
        # JSON is YAML
        (self.folder / "sentry.json").write_text(json.dumps(configuration, indent=2))
        self._is_made = True

    def launch(self) -> Launch:
        """The program in the foreground: Dapr's own where it is installed, else the one that is in our daprd."""
        options = {
            "port": self.port,
            "listen-address": LOOPBACK,
            "healthz-port": self._health_port,
            "healthz-listen-address": LOOPBACK,
            "issuer-credentials": self.folder,
            "config": self.folder / "sentry.json",
        }
        try:
            argv: list[str | Path] = [find("sentry")]
        except MissingProgram:
            argv = [find("daprd"), "sentry"]
        argv.append("--enable-metrics=false")
        for option, value in options.items():
            argv += [f"--{option}", str(value)]
        return Launch(argv)

    async def is_ready(self) -> bool:
        """It listens, which it does a moment after it says that it is well."""
        return await _listens(self.port)


async def _listens(port: int) -> bool:
    try:
        async with asyncio.timeout(_LISTENS_SECONDS):
            _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:  # a TimeoutError is one
        return False
    writer.close()
    return True
