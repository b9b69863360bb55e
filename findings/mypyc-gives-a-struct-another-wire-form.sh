#!/usr/bin/env bash
# mypyc 2.4.1 and msgspec 0.22.0: compiled, a struct is sent in another form than before, and takes what it refused.
#
# Most would expect: a module that passes `mypy --strict` gives the same bytes compiled as it gives interpreted; what
# mypyc can't compile it refuses by name, as it does elsewhere, and its documentation says that a class with a metaclass
# becomes a regular Python class.
# Seen: all that is said of a struct in its class line (array_like, tag, rename, forbid_unknown_fields, frozen,
# omit_defaults) is gone without a word. A struct that was an array is an object, its tag and the names of its fields are
# others, unknown fields are let in, and a frozen one can be changed. mypyc calls the metaclass without the keywords; the
# general case is python/mypy#21938. Whoever compiles a part of a system can't talk to the other part any more.
#
# Wants a C compiler and the headers of Python.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'mypy==2.4.1' 'msgspec==0.22.0' 'setuptools==84.2.1'
mkdir "$folder/plain" "$folder/compiled"
cat > "$folder/plain/seats.py" <<'PYTHON'
import msgspec


class Row(msgspec.Struct, array_like=True):
    section: str
    number: int


class Held(msgspec.Struct, tag="held", rename="camel", forbid_unknown_fields=True, frozen=True):
    held_until: str
PYTHON
cp "$folder/plain/seats.py" "$folder/compiled/"
cat > "$folder/show.py" <<'PYTHON'
import json

import msgspec
import seats

try:
    msgspec.json.decode(b'{"type":"held","heldUntil":"noon","held_until":"noon","more":1}', type=seats.Held)
    unknown = "let in"
except msgspec.ValidationError:
    unknown = "refused"
try:
    seats.Held("noon").held_until = "one"
    change = "let in"
except AttributeError:
    change = "refused"
sent = [msgspec.json.encode(struct).decode() for struct in (seats.Row("A", 7), seats.Held("noon"))]
print(json.dumps([*sent, unknown, change]))
PYTHON
cd "$folder/compiled"
"$folder/venv/bin/mypy" --strict --no-error-summary seats.py
"$folder/venv/bin/mypyc" seats.py > "$folder/compiler.txt" 2>&1 || { tail -5 "$folder/compiler.txt"; exit 1; }
mv seats.py seats.py.source
plain=$(PYTHONPATH="$folder/plain" "$folder/venv/bin/python" "$folder/show.py")
compiled=$(PYTHONPATH="$folder/compiled" "$folder/venv/bin/python" "$folder/show.py")
echo "interpreted: $plain"
echo "compiled:    $compiled"
expected='["[\"A\",7]", "{\"type\":\"held\",\"heldUntil\":\"noon\"}", "refused", "refused"]'
seen='["{\"section\":\"A\",\"number\":7}", "{\"held_until\":\"noon\"}", "let in", "let in"]'
[ "$plain" = "$expected" ] && [ "$compiled" = "$seen" ] || { echo "not seen"; exit 1; }
echo seen
