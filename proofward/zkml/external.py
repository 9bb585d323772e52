"""Weights that lie beside an ONNX file: taken into it, so that one digest covers the whole model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from proofward.files import TooLong, read_whole
from proofward.zkml.errors import CompileError, UnsupportedModel

MAX_ONNX_BYTES: Final = 64 << 20
"""Of a model, with the weights that lie beside its file."""


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

    Weights are read from the file's own folder alone, `MAX_ONNX_BYTES` with the file at most; a link among
    them is refused. Raises CompileError, OSError.
    """
    try:
        data = read_whole(path, MAX_ONNX_BYTES)
    except TooLong as error:
        raise CompileError(f"{path} is no ONNX file that is taken: {error.message}") from error
    try:
        import onnx
        from onnx.external_data_helper import load_external_data_for_tensor
    except ImportError:  # whoever compiles has it, and refuses weights that are not in the bytes
        return data, False
    try:
        proto = onnx.load_model_from_string(data)
    except Exception:  # noqa: BLE001 - the lanes say what is wrong with such bytes
        return data, False
    beside = [tensor for tensor in _tensors(proto) if _external(tensor)]
    if not beside:
        return data, False
    folder, room = path.resolve().parent, MAX_ONNX_BYTES - len(data)
    try:
        for tensor in beside:
            room -= _length(tensor, folder)
            if room < 0:
                raise ValueError(f"with them it has more than {MAX_ONNX_BYTES} bytes")
            load_external_data_for_tensor(tensor, str(folder))  # refuses links, and paths out of the folder
        return proto.SerializeToString(deterministic=True), True
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise CompileError(
            f"the weights beside {path} cannot be taken in: {reason}; export them into the file"
        ) from error


def _length(tensor: Any, folder: Path) -> int:
    """How many bytes are read of the file that a tensor names."""
    from onnx.external_data_helper import ExternalDataInfo

    said = ExternalDataInfo(tensor)
    if said.length is not None:
        return int(said.length)
    return (folder / said.location).stat().st_size - int(said.offset or 0)


def _external(tensor: Any) -> bool:
    return bool(tensor.data_location == tensor.EXTERNAL)


def _tensors(proto: Any) -> Iterator[Any]:
    """Every tensor of a model: its graphs', its functions', those in nodes' attributes and sparse ones."""
    waiting = [proto]
    while waiting:
        message = waiting.pop()
        if message.DESCRIPTOR.name == "TensorProto":
            yield message
            continue
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting += value if field.is_repeated else [value]
