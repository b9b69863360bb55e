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
    --extra install --extra distributed --extra azure pyproject.toml
compile --output-file requirements-dev.lock --constraint requirements-distributed.lock \
    --extra install --extra distributed --extra azure --extra dev pyproject.toml
