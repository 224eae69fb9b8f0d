#!/bin/bash
# Prepare for one instance: prepare_instance.sh v1 CATEGORY NETWORK.onnx PROPERTY.vnnlib
#
# There is nothing to convert. Status 0: the instance can be run. Status 1: a file is missing, so it is skipped.
set -euo pipefail

if [ "${1:-}" != v1 ] || [ $# -ne 4 ]; then
    echo "prepare_instance.sh: expected v1 CATEGORY NETWORK PROPERTY." >&2
    exit 1
fi
for file in "$3" "$4"; do
    if [ ! -r "$file" ]; then
        echo "prepare_instance.sh: '$file' cannot be read." >&2
        exit 1
    fi
done
