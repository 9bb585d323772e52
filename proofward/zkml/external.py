"""Weights that lie beside an ONNX file: taken into it, so that one digest covers the whole model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from proofward.files import TooLong, read_whole
from proofward.zkml.errors import CompileError, UnsupportedModel

MAX_ONNX_BYTES: Final = 64 << 20


def refuse_external(model: bytes) -> None:
    """Raise UnsupportedModel where the bytes name weights in other files, which no digest of them covers."""
    import onnx

    try:
        proto = onnx.load_model_from_string(model)
    except Exception:  # noqa: BLE001 - the lanes say what is wrong with such bytes
        return
    found = next((tensor for tensor in _tensors(proto) if _external(tensor)), None)
    if found is not None:
        raise UnsupportedModel(
            f"the weights {found.name!r} are not in the ONNX file but beside it, where its digest does "
            "not cover them; "
            "give the file's path to `proofward compile`, which takes them in, or export with external "
            "data off"
        )


def whole(path: Path) -> tuple[bytes, bool]:
    """The bytes of an ONNX file with the weights that lie beside it taken in, and whether there were any.

    Weights are read from the file's own folder alone. Raises CompileError, OSError.
    """
    try:
        data = read_whole(path, MAX_ONNX_BYTES)
    except TooLong as error:
        raise CompileError(f"{path} is no ONNX file that is taken: {error.message}") from error
    try:
        import onnx
        from onnx.external_data_helper import load_external_data_for_model
    except ImportError:  # whoever compiles has it, and refuses weights that are not in the bytes
        return data, False
    try:
        proto = onnx.load_model_from_string(data)
    except Exception:  # noqa: BLE001 - the lanes say what is wrong with such bytes
        return data, False
    if not any(_external(tensor) for tensor in _tensors(proto)):
        return data, False
    try:
        load_external_data_for_model(proto, str(path.resolve().parent))
        for tensor in _tensors(proto):
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
        return proto.SerializeToString(deterministic=True), True
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise CompileError(
            f"the weights beside {path} cannot be taken in: {reason}; export them into the file"
        ) from error


def _external(tensor: Any) -> bool:
    return bool(tensor.data_location == 1)


def _tensors(proto: Any) -> Iterator[Any]:
    """Every tensor of the graph, of its nodes' attributes and of their subgraphs."""
    graphs = [proto.graph]
    while graphs:
        graph = graphs.pop()
        yield from graph.initializer
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors
                graphs += [attribute.g] if attribute.HasField("g") else []
                graphs += list(attribute.graphs)
