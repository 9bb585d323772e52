"""One input and one output: a model of several inputs gets one that holds them all, one of several outputs
keeps the one that its publisher names. The digest covers the model as it is then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from proofward.zkml.errors import UnsupportedModel
from proofward.zkml.quantiser import MAX_FEATURES

MAX_NAMED = 8


@dataclass(frozen=True)
class Single:
    """A model with one input and, where one was named, one output.

    Args:
        onnx: its bytes; the ones given where nothing had to be changed.
        features: one name a feature where several inputs were joined: theirs, numbered where one holds
        several.
        notes: what was changed, for the publisher to see.
        classes: the names that the model gives its classes, where they are words.
    """

    onnx: bytes
    features: list[str] | None
    notes: list[str]
    classes: tuple[str, ...] = ()


def single(model: bytes, output: str | None = None) -> Single:
    """The model with its inputs joined, and of several outputs the one named.

    Raises UnsupportedModel where there is no such output, or inputs of no fixed size. Bytes that are no ONNX
    model are handed on as they are: the lanes refuse them.
    """
    import onnx

    try:
        proto = onnx.load_model_from_string(model)
    except Exception:  # noqa: BLE001 - protobuf's errors have no common base
        return Single(model, None, [])
    constants = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in constants]
    notes: list[str] = []
    if output is not None:
        notes += _keep(proto, output)
    names = None
    if len(inputs) > 1:
        names = _join(proto, inputs)
        notes.append(f"the model's {len(inputs)} inputs are joined in one, in the order {_some(names)}")
    classes = _classes(proto)
    if not notes:
        return Single(model, None, [], classes)
    return Single(bytes(proto.SerializeToString(deterministic=True)), names, notes, classes)


def _classes(proto: Any) -> tuple[str, ...]:
    """The words that every node which names classes names alike."""
    named = {
        tuple(one.decode(errors="replace") for one in attribute.strings)
        for node in proto.graph.node
        for attribute in node.attribute
        if attribute.name == "classlabels_strings" and attribute.strings
    }
    return named.pop() if len(named) == 1 else ()


def _keep(proto: Any, output: str) -> list[str]:
    named = [value.name for value in proto.graph.output]
    if output not in named:
        raise UnsupportedModel(f"the model has no output {output!r}; it has {_some(named)}")
    scores = not _is_label(next(value for value in proto.graph.output if value.name == output))
    # A label beside the scores stays: it is compared with what they decide.
    chosen = [value.name == output or (scores and _is_label(value)) for value in proto.graph.output]
    left_out = [name for name, kept in zip(named, chosen, strict=True) if not kept]
    if not left_out:
        return []
    for at in reversed([i for i, kept in enumerate(chosen) if not kept]):
        del proto.graph.output[at]
    return [f"of the model's outputs {output!r} is kept, not {_some(left_out)}"]


def _is_label(value: Any) -> bool:
    from onnx import TensorProto

    whole = (TensorProto.INT64, TensorProto.INT32, TensorProto.STRING, TensorProto.BOOL)
    return value.type.tensor_type.elem_type in whole


def _join(proto: Any, inputs: list[Any]) -> list[str]:
    """Put one float input before the graph, and a Gather for each of those there were."""
    from onnx import TensorProto, helper, numpy_helper

    floats = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)
    integers = (TensorProto.INT64, TensorProto.INT32)
    kinds = {value.type.tensor_type.elem_type for value in inputs}
    odd = next((v for v in inputs if v.type.tensor_type.elem_type not in (*floats, *integers)), None)
    if odd is not None:
        raise UnsupportedModel(
            f"the input {odd.name!r} is not a tensor of numbers; encode it before the model"
        )
    # Whole numbers beside floats are cast to float behind their inputs, or the graph would not fit together.
    kind = next((one for one in floats if one in kinds), None) or next(
        one for one in integers if one in kinds
    )
    joined = "proofward_inputs"
    nodes, names, at = [], [], 0
    for value in inputs:
        dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
        size = int(np.prod(dims[1:]))
        if len(dims) < 2 or any(d <= 0 for d in dims[1:]) or at + size > MAX_FEATURES:
            raise UnsupportedModel(
                f"the input {value.name!r} has shape {dims}; inputs are joined where each has a batch "
                "axis and fixed "
                f"others, {MAX_FEATURES} numbers in all"
            )
        names += [value.name] if size == 1 else [f"{value.name}[{i}]" for i in range(size)]
        index, part = f"{joined}_{at}", f"{joined}_{at}_flat"
        proto.graph.initializer.append(
            numpy_helper.from_array(np.arange(at, at + size, dtype=np.int64), index)
        )
        flat = len(dims) == 2
        nodes.append(helper.make_node("Gather", [joined, index], [value.name if flat else part], axis=1))
        if not flat:
            shape = numpy_helper.from_array(np.array([0, *dims[1:]], dtype=np.int64), f"{index}_shape")
            proto.graph.initializer.append(shape)
            nodes.append(helper.make_node("Reshape", [part, shape.name], [value.name]))
        at += size
    taken = {value.name for value in inputs}
    others = [value for value in proto.graph.input if value.name not in taken]
    rest = [node for node in proto.graph.node]
    del proto.graph.input[:], proto.graph.node[:], proto.graph.value_info[:]
    proto.graph.input.extend([helper.make_tensor_value_info(joined, kind, [None, at]), *others])
    proto.graph.node.extend([*nodes, *rest])
    return names


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:MAX_NAMED])
    return shown + (f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else "")
