"""The operators that the Edge TPU takes, their highest versions, and their limits: a table of frozen records.

Where each entry is known from stands in it: Coral's documentation (an older copy, runtime version 14), pairs of plain
and compiled models, reports of users. The operator versions are those that the last Edge TPU compiler can read
(data/op_versions.json). docs/models.md says how good a prediction this gives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files

from coralforge.edgetpu import limits
from coralforge.edgetpu.evidence import Bound, Limit, Source
from coralforge.edgetpu.limits import DOCUMENT


class Status(Enum):
    """Statuses of an operation, in the words of Google's compiler."""

    MAPPED = "Mapped to Edge TPU"
    SECOND_SUBGRAPH = "More than one subgraph is not supported"
    UNSPECIFIED = "Operation is otherwise supported, but not mapped due to some unspecified limitation"
    UNSUPPORTED = "Operation not supported"
    VERSION = "Operation version not supported"
    DATA_TYPE = "Operation is working on an unsupported data type"
    RANK = "Tensor has unsupported rank (up to 3 innermost dimensions mapped)"
    NOT_CONSTANT = "Filter, bias, or other param is not constant at compile-time"


@dataclass(frozen=True)
class Rule:
    """One operator that is mapped, as ``known`` says.

    ``needs`` inputs have to be there; ``constants`` are inputs that have to be constants where they are there;
    ``limits`` are asked in order, and may rely on both and on the shapes being static.
    """

    known: Source
    needs: int = 1
    constants: tuple[int, ...] = ()
    limits: tuple[Limit | Bound, ...] = ()


@cache
def newest_versions() -> Mapping[str, int]:
    """The highest version of each operator that the Edge TPU compiler reads; 0 for one it does not know at all."""
    raw = files("coralforge.edgetpu").joinpath("data/op_versions.json").read_text(encoding="utf-8")
    versions: dict[str, int] = json.loads(raw)["versions"]
    return versions


# Versions above those of data/op_versions.json that the compiler reads all the same: it leaves them to the CPU, and
# does not reject the model.
READ_THOUGH_NEWER: Mapping[str, tuple[int, Source]] = {
    "ADD": (4, Source("pair", "edward62740/EdgeTPU-MOT, yolov10n at 192 pixels")),
}


def readable(name: str, version: int) -> bool:
    """Whether the compiler can read an operator in a version; if not, it rejects the whole model."""
    newer = READ_THOUGH_NEWER[name][0] if name in READ_THOUGH_NEWER else 0
    return version <= max(newest_versions().get(name, 0), newer)


def _pair(name: str) -> Source:
    return Source("pair", name)


_MOBILENET = _pair("google-coral/test_data, mobilenet_v1_0.25_128_quant")
_DEEPLAB = _pair("google-coral/test_data, deeplab_mobilenet_edgetpu_slim_cityscapes_quant")
_MOVENET = _pair("google-coral/test_data, movenet_single_pose_lightning_ptq")
_LSTM = _pair("google-coral/test_data, keras_lstm_mnist_ptq")
_SPLIT = _pair("google-coral/test_data, tools/split_concat")
_YOLO = _pair("edward62740/EdgeTPU-MOT, yolov8n at 224 pixels")
_FACE = Source("report", "zye1996/facemesh_EdgeTPU, log of face_landmark_192")
_FRIGATE = Source("report", "a log of YOLOv9 for Frigate: 719 of 750 operations mapped")
_SRGAN = _pair("inSam/SR-GAN-Edge-TPU, srgan_quant_2")
_EFFICIENT = _pair("prbodmann/Coral-TPU, efficient_l3")
_YOLO_V10 = _pair("koush/tflite-models, scrypted_yolov10n_320")
_TRANSPOSED = Source("report", "google-coral/edgetpu#686")

_CONVOLUTION = Rule(_MOBILENET, 2, (1, 2), (limits.SAME_DILATION,))
_REDUCTION = Rule(DOCUMENT, 2, (1,), (limits.NOT_IN_BATCH,))
_RESIZE = (limits.RESIZE_FACTOR, limits.RESIZE_SIDE)

# "Not in the batch dimension" of packs and pads needs no rule: they would have tensors of unsupported rank.
RULES: Mapping[str, Rule] = {
    "ADD": Rule(_MOVENET, 2),
    "AVERAGE_POOL_2D": Rule(_MOBILENET, limits=(limits.UNFUSED,)),
    "BATCH_MATMUL": Rule(_YOLO_V10, 2),  # the documentation does not list it
    "CONCATENATION": Rule(_DEEPLAB, limits=(limits.UNFUSED, limits.ZERO_PADDING)),
    "CONV_2D": _CONVOLUTION,
    "DEPTHWISE_CONV_2D": _CONVOLUTION,
    "EXPAND_DIMS": Rule(DOCUMENT, 2, (1,)),
    # Version 2 of the compiler wanted constant weights (google-coral/edgetpu#25); 16 maps computed ones (_EFFICIENT).
    "FULLY_CONNECTED": Rule(_LSTM, 2, (2,), (limits.DEFAULT_WEIGHTS, limits.DENSE_ROWS)),
    "L2_NORMALIZATION": Rule(DOCUMENT),
    "LOGISTIC": Rule(_YOLO),
    "MAXIMUM": Rule(_FACE, 2),
    "MAX_POOL_2D": Rule(_YOLO, limits=(limits.UNFUSED,)),
    "MEAN": Rule(_EFFICIENT, 2, (1,), (limits.NOT_IN_BATCH,)),
    "MINIMUM": Rule(_FRIGATE, 2),
    "MUL": Rule(_YOLO, 2),
    "PACK": Rule(_EFFICIENT),
    "PAD": Rule(_YOLO, 2, (1,)),
    "PRELU": Rule(_SRGAN, 2, (1,), (limits.FLAT_ALPHA,)),
    "QUANTIZE": Rule(_YOLO),
    "REDUCE_MAX": _REDUCTION,
    "REDUCE_MIN": _REDUCTION,
    "RELU": Rule(DOCUMENT),
    "RELU6": Rule(DOCUMENT),
    "RELU_N1_TO_1": Rule(DOCUMENT),
    "RESHAPE": Rule(_MOBILENET, 1, (1,)),
    "RESIZE_BILINEAR": Rule(_MOVENET, 2, (1,), _RESIZE),
    "RESIZE_NEAREST_NEIGHBOR": Rule(_YOLO, 2, (1,), _RESIZE),
    "RSQRT": Rule(_EFFICIENT),
    "SLICE": Rule(DOCUMENT, 3, (1, 2)),
    "SOFTMAX": Rule(_LSTM, limits=(limits.SOFTMAX_SIZE, limits.SOFTMAX_ROWS)),
    "SPACE_TO_DEPTH": Rule(DOCUMENT),
    "SPLIT": Rule(_SPLIT, 2, (0,), (limits.NOT_FIRST,)),
    "SQUARED_DIFFERENCE": Rule(_EFFICIENT, 2),
    "SQUEEZE": Rule(DOCUMENT, limits=(limits.LEADING_ONES,)),
    "STRIDED_SLICE": Rule(_YOLO, 4, (1, 2, 3), (limits.PLAIN_SLICE,)),
    "SUB": Rule(_MOVENET, 2),
    "SUM": _REDUCTION,
    "TANH": Rule(_SRGAN),
    "TILE": Rule(_DEEPLAB, 2, (1,)),  # the documentation does not list it
    "TRANSPOSE": Rule(_YOLO, 2, (1,), (limits.TRANSPOSE_SIZE,)),
    "TRANSPOSE_CONV": Rule(_TRANSPOSED, 3, (0, 1, 3)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Rule(_LSTM, 1, tuple(range(1, 18))),
}

# Operators that were seen left since there are none such. Of others that the documentation does not list this is only
# likely: it does not list BATCH_MATMUL and TILE either.
UNSUPPORTED: Mapping[str, Source] = {
    "GATHER": _FRIGATE,
    "GATHER_ND": _MOVENET,
    "HARD_SWISH": Source("report", "google-coral/edgetpu#272"),
    "LEAKY_RELU": Source("report", "google-coral/edgetpu#272"),
    "UNPACK": _MOVENET,
}

LIMITS: Mapping[str, Limit | Bound] = {limit.name: limit for rule in RULES.values() for limit in rule.limits}
"""The limits of single operators by name."""
