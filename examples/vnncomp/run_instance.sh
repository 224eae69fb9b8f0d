#!/bin/bash
# Verify one instance: run_instance.sh v1 CATEGORY NETWORK.onnx PROPERTY.vnnlib RESULTS TIMEOUT
#
# The first line of RESULTS is sat, unsat, unknown, timeout or error. After sat, the counterexample follows:
# ((X_0 value) … (Y_0 value) …). The file appears at once, when it is complete.
set -uo pipefail

if [ "${1:-}" != v1 ] || [ $# -ne 6 ]; then
    echo "run_instance.sh: expected v1 CATEGORY NETWORK PROPERTY RESULTS TIMEOUT." >&2
    exit 1
fi
network=$3 property=$4 results=$5 timeout=$6
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
autodual=${AUTODUAL_VENV:-$root/.venv}/bin/autodual
unfinished=$results.unfinished

rm -f "$results"
if ! "$autodual" verify "$network" "$property" --timeout "$timeout" > "$unfinished"; then
    echo error > "$unfinished"
fi
mv "$unfinished" "$results"
head -1 "$results"
