"""Writes the files of tabular.yaml: a forest as ONNX, and rows that it has not seen, with their classes.

python tabular.py FOLDER
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier


def main(folder: Path) -> None:
    """Train on a part of the rows, write the forest and the others."""
    rows, classes = load_wine(return_X_y=True)
    rows = rows.astype(np.float32)
    forest = RandomForestClassifier(100, max_depth=8, random_state=0).fit(rows[::3], classes[::3])
    seen = np.arange(len(rows)) % 3 == 0
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "rows.npz", table=rows[~seen], labels=classes[~seen])
    onnx.save(model(forest), folder / "forest.onnx")


def model(forest: RandomForestClassifier) -> onnx.ModelProto:
    """The forest as one operator: the class of each row, and the probabilities of all classes."""
    node = helper.make_node(
        "TreeEnsembleClassifier", ["table"], ["label", "probabilities"], domain="ai.onnx.ml", **attributes(forest)
    )
    table = helper.make_tensor_value_info("table", TensorProto.FLOAT, ["batch", forest.n_features_in_])
    answers = [
        helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(forest.classes_)]),
    ]
    graph = helper.make_graph([node], "forest", [table], answers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def attributes(forest: RandomForestClassifier) -> dict[str, Any]:
    """The nodes of all trees, and at their leaves each class's share of the forest's votes."""
    made: dict[str, Any] = {name: [] for name in NODES + LEAVES}
    for tree, estimator in enumerate(forest.estimators_):
        nodes = estimator.tree_
        for node in range(nodes.node_count):
            leaf = nodes.children_left[node] < 0
            add(
                made,
                nodes_treeids=tree,
                nodes_nodeids=node,
                nodes_modes="LEAF" if leaf else "BRANCH_LEQ",
                nodes_featureids=0 if leaf else int(nodes.feature[node]),
                nodes_values=0.0 if leaf else float(nodes.threshold[node]),
                nodes_truenodeids=0 if leaf else int(nodes.children_left[node]),
                nodes_falsenodeids=0 if leaf else int(nodes.children_right[node]),
            )
            votes = nodes.value[node][0] / nodes.value[node][0].sum() / len(forest.estimators_)
            for kind, vote in enumerate(votes if leaf else ()):
                add(made, class_treeids=tree, class_nodeids=node, class_ids=kind, class_weights=float(vote))
    return {**made, "classlabels_int64s": forest.classes_.tolist(), "post_transform": "NONE"}


NODES = [
    *("nodes_treeids", "nodes_nodeids", "nodes_modes", "nodes_featureids", "nodes_values"),
    *("nodes_truenodeids", "nodes_falsenodeids"),
]
LEAVES = ["class_treeids", "class_nodeids", "class_ids", "class_weights"]


def add(made: dict[str, Any], **values: Any) -> None:
    """One more entry of each of these lists."""
    for name, value in values.items():
        made[name].append(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
