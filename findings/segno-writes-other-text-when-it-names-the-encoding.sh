#!/usr/bin/env bash
# segno 1.6.6 with zxing-cpp 3.1.1: a short text that names its encoding is read as another text.
#
# Most would expect: segno.make(text, eci=True) names the encoding (ECI) in the code, so that readers need not guess it. segno
# makes a Micro QR code of what is short enough, but not here: its documentation says that those cannot name an encoding, as does
# the standard (ISO/IEC 18004), in which a Micro QR code has no mode for it.
# Seen: it makes one, without an error. The reader takes the bits that name the encoding for the beginning of letters and digits and
# finds "I-+E/UA3X%G8" where "Žižka" was written: no failure, but another text. What is too long for a Micro QR code is right, and so
# is make(text, eci=True, micro=False), so that of a list of names the short ones are wrong.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'segno==1.6.6' 'zxing-cpp==3.1.1' 'pillow==13.0.0'
"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys
from importlib.metadata import version

import segno
import zxingcpp
from PIL import Image

CASES = {
    # text, what make() is told: what is read
    ("Žižka", "eci=True"): "I-+E/UA3X%G8",
    ("12 €", "eci=True"): "I-4GZT51NAH3",
    ("Row 12", "eci=True, encoding='utf-8'"): "I-7EXX+O8XPR",
    ("Žižka", "eci=True, micro=False"): "Žižka",
    ("Žižka", "encoding='utf-8'"): "Žižka",
    ("Žižka, row 12, seat 7", "eci=True"): "Žižka, row 12, seat 7",
}


def read(code: segno.QRCode) -> str:
    image = io.BytesIO()
    code.save(image, kind="png", scale=4)
    [found] = zxingcpp.read_barcodes(Image.open(image).convert("L"))
    return found.text


print("segno", segno.__version__, "with zxing-cpp", version("zxing-cpp"), "on Python", sys.version.split()[0])
changed = False
for (text, options), known in CASES.items():
    code = segno.make(text, **eval(f"dict({options})"))
    seen = read(code)
    print(f"make({text!r}, {options}), a code {code.designator}\n  expected {text}\n  seen     {seen}")
    changed |= seen != known
if changed:
    sys.exit("not seen")
print("seen")
PYTHON
