#!/bin/sh
# Makes src/cludale/pages/static/qr-decoder.js anew: the BarcodeDetector of the npm package qr, as one small module.
# Usage: tools/qr-decoder/make.sh. It says how many bytes that is, packed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
static=$here/../../src/cludale/pages/static
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$work"
cd "$work"
npm ci --silent --no-audit --no-fund
version=$(node -p "JSON.parse(require('fs').readFileSync('node_modules/qr/package.json')).version")
echo "export { BarcodeDetector } from 'qr/decode.js';" >in.js
npx esbuild in.js --bundle --minify --format=esm --target=es2022 --legal-comments=none --log-level=error --outfile=out.js
{
    echo "/*! qr $version (npm), its BarcodeDetector, by Paul Miller. MIT: see qr-decoder.LICENSE. Made by tools/qr-decoder/make.sh; not ours, so not changed here. */"
    cat out.js
} >"$static/qr-decoder.js"
cp node_modules/qr/LICENSE-MIT "$static/qr-decoder.LICENSE"
gzip -9 -c "$static/qr-decoder.js" | wc -c
