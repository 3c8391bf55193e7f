#!/usr/bin/env bash
# Resolve every requirements file again. uv resolves for all Pythons and platforms at once, which
# pip cannot; it lives in an environment of its own, since nothing else needs it.
set -euo pipefail

uv=build/lock/bin/uv
if [[ ! -x $uv ]]; then
    "${PYTHON:-python3}" -m venv build/lock
    build/lock/bin/python -m pip install -qq uv==0.13.9
fi

compile() {
    # No index in the files: an installation uses the package index of its own configuration.
    UV_CUSTOM_COMPILE_COMMAND="make lock" "$uv" pip compile --quiet --no-config --universal \
        --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade "$1.in" -o "$1.txt"
    echo "$1.txt"
}

# In this order: development is what ships, at the same versions, and the tools.
compile requirements
compile requirements-dev
compile sandbox/requirements-ministack
