#!/usr/bin/env bash
# opentelemetry-sdk 1.45.2 for Python, and OpenTelemetry 1.35.0 for Go, which is in Dapr 1.16: a trace that the first
# began is none for the second.
#
# Most would expect: both speak W3C Trace Context, so that what a service sends to its sidecar goes on as one trace.
# Seen: Python's SDK says since its version 1.42 that the id of a new trace is random (flag 2 of the specification's
# second level), so that its header ends in -03; Go's library of that version takes every header whose flags are above 2
# for none, without a word. A sidecar begins a trace of its own, and what it calls belongs to that. A header of ours that
# ends in -01 goes through. Go's library reads both since 1.43.0, which Dapr 1.16 does not have.
#
# Wanted: Go.
set -euo pipefail
command -v go >/dev/null || { echo "Go is wanted" >&2; exit 2; }
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'opentelemetry-sdk==1.45.2'
header=$("$folder/venv/bin/python" - <<'PYTHON'
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace import TracerProvider

carrier: dict[str, str] = {}
with TracerProvider().get_tracer("orders").start_as_current_span("place an order"):
    inject(carrier)
print(carrier["traceparent"])
PYTHON
)
read_with() { # the version of Go's library, the header
    mkdir -p "$folder/$1"
    cd "$folder/$1"
    printf 'module reading\ngo 1.23\nrequire (\n\tgo.opentelemetry.io/otel v%s\n\tgo.opentelemetry.io/otel/trace v%s\n)\n' "$1" "$1" >go.mod
    cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

func main() {
	headers := propagation.MapCarrier{"traceparent": os.Args[1]}
	read := propagation.TraceContext{}.Extract(context.Background(), headers)
	if trace.SpanContextFromContext(read).IsValid() {
		fmt.Println("goes on")
	} else {
		fmt.Println("is lost")
	}
}
GO
    GOFLAGS=-mod=mod go run . "$2" 2>/dev/null
}
echo "Python sends $header"
old=$(read_with 1.35.0 "$header")
plain=$(read_with 1.35.0 "${header%-*}-01")
new=$(read_with 1.43.0 "$header")
echo "Go's 1.35.0: the trace $old; with the flags 01 it $plain"
echo "Go's 1.43.0: the trace $new"
[ "${header##*-}" = 03 ] && [ "$old" = "is lost" ] && [ "$plain" = "goes on" ] && [ "$new" = "goes on" ] ||
    { echo "not seen"; exit 1; }
echo seen
