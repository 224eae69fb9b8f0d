#!/bin/bash
# Install autodual for the competition: install_tool.sh v1
#
# It goes into a virtual environment in this checkout, or in the folder that AUTODUAL_VENV names.
set -euo pipefail

if [ "${1:-}" != v1 ]; then
    echo "install_tool.sh: the first argument must be the version of this interface, v1, not '${1:-}'." >&2
    exit 1
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=${AUTODUAL_VENV:-$root/.venv}

"${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --quiet --constraint "$root/constraints.txt" "$root[onnx,vnnlib,exact]"
"$venv/bin/autodual" --version
