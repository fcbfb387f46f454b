"""Tiny ONNX models that return given boxes, one for each output layout."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_agent.perception.vision import OutputLayout

Row = tuple[float, float, float, float, float, int]
"""x1, y1, x2, y2 in pixels of the network's input, score, class id."""


def dense(rows: Sequence[Row], classes: int, places: int, *, objectness: bool) -> NDArray[np.float32]:
    """Lay `rows` out as [1, places, 4 or 5 + classes], boxes as centre and size, everything else with scores near 0."""
    extra = 5 if objectness else 4
    out = np.full((1, places, extra + classes), 0.01, np.float32)
    out[0, :, :4] = (50, 50, 20, 20)
    for place, (x1, y1, x2, y2, score, class_id) in enumerate(rows):
        out[0, place * 3, :4] = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
        out[0, place * 3, extra + class_id] = score / 0.9 if objectness else score
        if objectness:
            out[0, place * 3, 4] = 0.9
    return out


def outputs_for(
    layout: OutputLayout, rows: Sequence[Row], classes: int, places: int = 126
) -> dict[str, NDArray[np.float32] | NDArray[np.int32]]:
    """Return the named outputs that encode `rows` in a layout."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    match layout:
        case OutputLayout.CHANNELS_LAST | OutputLayout.OBJECTNESS_LAST:
            return {"out": dense(rows, classes, places, objectness=layout is OutputLayout.OBJECTNESS_LAST)}
        case OutputLayout.CHANNELS_FIRST | OutputLayout.OBJECTNESS_FIRST:
            values = dense(rows, classes, places, objectness=layout is OutputLayout.OBJECTNESS_FIRST)
            return {"out": np.ascontiguousarray(values.transpose(0, 2, 1))}
        case OutputLayout.END_TO_END:
            padded = np.zeros((1, 30, 6), np.float32)
            padded[0, : len(table)] = table
            return {"out": padded}
        case OutputLayout.END_TO_END_BATCH:
            batch = np.zeros((len(table), 1), np.float32)
            return {"out": np.concatenate([batch, table[:, :4], table[:, 5:6], table[:, 4:5]], axis=1)}
        case _:
            kept = np.full((1, 30, 4), 7, np.float32)
            scores, class_ids = np.full((1, 30), 0.99, np.float32), np.zeros((1, 30), np.int32)
            kept[0, : len(table)], scores[0, : len(table)] = table[:, :4], table[:, 4]
            class_ids[0, : len(table)] = table[:, 5]
            count = np.array([[len(table)]], np.int32)
            return {"num_dets": count, "det_boxes": kept, "det_scores": scores, "det_classes": class_ids}


def save(
    path: Path,
    outputs: Mapping[str, NDArray[np.float32] | NDArray[np.int32]],
    *,
    names: str | None = None,
    size: tuple[int | str, int | str] = (64, 96),
    batch: int | str = 1,
    dtype: int = TensorProto.FLOAT,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a model that takes [batch, 3, *size (height, width)] and answers with `outputs`, whatever the picture.

    The picture takes part all the same, times zero, so that nothing is folded away; one that holds 255 in its
    top-left corner therefore stays finite, and see `save_fragile` for one that does not.
    """
    picture = helper.make_tensor_value_info("images", dtype, [batch, 3, *size])
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
    ]
    return _write(path, nodes, picture, outputs, names, metadata)


def save_fragile(path: Path, outputs: Mapping[str, NDArray[np.float32]], *, names: str) -> Path:
    """Write a model like `save`'s whose output is NaN for any picture brighter than mid grey on average."""
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 96])
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["half", "mean"], ["darkness"]),
        helper.make_node("Sqrt", ["darkness"], ["root"]),  # of a negative number: NaN
        helper.make_node("Mul", ["root", "zero"], ["nothing"]),
    ]
    return _write(path, nodes, picture, outputs, names, None)


def save_endless(path: Path, *, names: str) -> Path:
    """Write a model that never answers: a loop without end."""
    number = helper.make_tensor_value_info("count", TensorProto.INT64, [])
    true = helper.make_tensor_value_info("go_on", TensorProto.BOOL, [])
    mean = helper.make_tensor_value_info("mean", TensorProto.FLOAT, [])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["still"]),
            helper.make_node("Cos", ["mean"], ["next"]),
        ],
        "body",
        [number, true, mean],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, []),
        ],
    )
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 96])
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["brightness"], keepdims=0),
        helper.make_node("Loop", ["", "", "brightness"], ["nothing"], body=body),
    ]
    return _write(path, nodes, picture, {"out": np.zeros((1, 30, 6), np.float32)}, names, None)


def _write(
    path: Path,
    nodes: list[onnx.NodeProto],
    picture: onnx.ValueInfoProto,
    outputs: Mapping[str, NDArray[np.float32] | NDArray[np.int32]],
    names: str | None,
    metadata: Mapping[str, str] | None,
) -> Path:
    constants = [
        numpy_helper.from_array(np.float32(0), "zero"),
        numpy_helper.from_array(np.float32(0.5), "half"),
    ]
    infos = []
    for name, value in outputs.items():
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        constants.append(numpy_helper.from_array(value, f"{name}_value"))
        nodes.append(helper.make_node("Cast", ["nothing"], [f"{name}_nothing"], to=kind))
        nodes.append(helper.make_node("Add", [f"{name}_value", f"{name}_nothing"], [name]))
        infos.append(helper.make_tensor_value_info(name, kind, list(value.shape)))
    graph = helper.make_graph(nodes, "tiny", [picture], infos, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entries = dict(metadata or {}) | ({"names": names} if names is not None else {})
    helper.set_model_props(model, entries)
    onnx.save(model, path)
    return path


def write_manifest(model: Path, sha256: str, labels: Sequence[str], **more: object) -> Path:
    """Write the manifest beside `model`."""
    path = model.with_suffix(".json")
    path.write_text(json.dumps({"schema": 1, "model": model.name, "sha256": sha256, "labels": list(labels)} | more))
    return path
