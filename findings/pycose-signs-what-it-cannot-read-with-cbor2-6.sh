#!/usr/bin/env bash
# pycose 1.1.0 with cbor2 6.3.0: a message that it has just signed is no COSE message, it says.
#
# Most would expect: two packages that pip puts together without a word work together, or fail at the import or the
# first call; what a library signs it can also read.
# Seen: pycose takes any cbor2. With 6.3.0 it signs as ever, and the bytes are sound: cbor2 itself reads them, and the
# signature is right under RFC 9052. But pycose refuses to decode them, with a TypeError, since the array within a tag
# is a tuple now and pycose looks for a list. With cbor2 5.7.1 it reads what it signs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/signed.py" <<'PYTHON'
import sys
from importlib.metadata import version

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pycose.algorithms import EdDSA
from pycose.headers import KID, Algorithm
from pycose.keys import OKPKey
from pycose.messages import CoseMessage, Sign1Message

key = OKPKey.generate_key(crv="ED25519")
message = Sign1Message(phdr={Algorithm: EdDSA, KID: b"1"}, payload=b"a ticket")
message.key = key
signed = message.encode()
protected, _, payload, signature = cbor2.loads(signed).value
Ed25519PublicKey.from_public_bytes(key.x).verify(signature, cbor2.dumps(["Signature1", protected, b"", payload]))
try:
    read = CoseMessage.decode(signed)
    read.key = key
    seen = f"read, and the signature is {'right' if read.verify_signature() else 'wrong'}"
except TypeError as error:
    seen = f"TypeError: {error}"
print(f"pycose {version('pycose')}, cbor2 {version('cbor2')}, Python {sys.version.split()[0]}; the signature is sound", file=sys.stderr)
print(seen)
PYTHON
changed=0
try() { # cbor2's version, what is known
    python3 -m venv --clear "$folder/venv"
    "$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'pycose==1.1.0' 'cryptography==50.0.2' "cbor2==$1"
    "$folder/venv/bin/pip" --disable-pip-version-check check
    seen=$("$folder/venv/bin/python" "$folder/signed.py")
    printf '  expected read, and the signature is right\n  seen     %s\n' "$seen"
    [ "$seen" = "$2" ] || changed=1
}
try 5.7.1 "read, and the signature is right"
try 6.3.0 "TypeError: Bytes cannot be decoded as COSE message"
[ "$changed" = 0 ] || { echo "It no longer behaves as described here." >&2; exit 1; }
