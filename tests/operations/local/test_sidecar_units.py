"""The sidecar's own tests, in Go: what its components decide without a broker."""

import os
import subprocess

from tests.parts import SIDECAR, need


def test_the_tests_of_the_sidecar_pass() -> None:
    go = need("go")
    packages = sorted({f"./{file.parent.relative_to(SIDECAR)}" for file in SIDECAR.glob("**/*_test.go")})
    assert packages
    # with the flags of tools/go/build.sh, so that what it compiled is used again
    flags = ("-count=1", "-mod=readonly", "-trimpath", "-buildvcs=false")
    done = subprocess.run(
        [go, "test", *flags, *packages],
        cwd=SIDECAR,
        env={**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok ") == len(packages)
