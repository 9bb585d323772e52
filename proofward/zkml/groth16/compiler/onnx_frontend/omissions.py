"""What converters are known to leave out of a model: such a graph is valid, and answers otherwise than the
library that was trained.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import onnx

from proofward.zkml.errors import UnsupportedModel

_SKL2ONNX = "skl2onnx"
_TUNED = re.compile(r"(?:label|proba)_tuned[0-9]*")
_TRACKS = "nodes_missing_value_tracks_true"


def refuse_tuned_threshold(proto: onnx.ModelProto) -> None:
    """skl2onnx writes the estimator inside a TunedThresholdClassifierCV, and not its threshold. Raises
    UnsupportedModel.
    """
    names = (name for node in proto.graph.node for name in node.input)
    if proto.producer_name == _SKL2ONNX and any(_TUNED.fullmatch(name) for name in names):
        raise UnsupportedModel(
            "skl2onnx leaves out the threshold of a TunedThresholdClassifierCV, so that the export decides "
            "at a half; export its estimator_ and apply the threshold to the probability where it is read"
        )


def without_directions(proto: onnx.ModelProto) -> bool:
    """Whether nothing says where trees send missing values: of scikit-learn's own trees skl2onnx writes
    that all go to the right.
    """
    tracks: Iterable[int] = (
        track
        for node in proto.graph.node
        for attribute in node.attribute
        if attribute.name == _TRACKS
        for track in attribute.ints
    )
    return proto.producer_name == _SKL2ONNX and not any(tracks)
