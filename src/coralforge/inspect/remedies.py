"""The change to make in a model, for each rule that an operation may break (edgetpu.operators, edgetpu.partition)."""

from __future__ import annotations

from collections.abc import Mapping

from coralforge.edgetpu.evidence import shown
from coralforge.edgetpu.limits import (
    DENSE_ROWS,
    RESIZE_FACTOR,
    RESIZE_SIDE,
    SOFTMAX_ROWS,
    SOFTMAX_SIZE,
    TRANSPOSE_SIZE,
)

DETECTION = "TFLite_Detection_PostProcess"

FLOAT_INPUT = "Set converter.inference_input_type = tf.uint8 (or tf.int8), so that the model takes whole numbers."
FLOAT_OUTPUT = "Set converter.inference_output_type = tf.uint8 (or tf.int8), so that the model gives whole numbers."
FLOAT_INSIDE = (
    "Quantize to full integer: a representative data set, and converter.target_spec.supported_ops = "
    "[tf.lite.OpsSet.TFLITE_BUILTINS_INT8], so that nothing is left in floating point."
)
WIDE_INSIDE = "Quantize activations to 8 bits, not to 16 (TFLITE_BUILTINS_INT8 instead of the 16x8 mode)."
INTEGER_INSIDE = (
    "Take whole-number calculations out of the model: convert it with fixed input sizes (batch 1), so that shapes "
    "are not computed, and look up or count things in your program."
)
UNSCALED = "Convert again with a representative data set: a tensor of 8 bits has no scale."
DETECTION_STAYS = "Nothing to change: this step ends detection models, is small, and is meant to run on the CPU."
UNKNOWN_CAUSE = (
    "The rules known here do not say why. Often the activations are too large for the chip's memory: try a smaller "
    "input, or let the compiler search for another split (`invoke compile --search-delegate`)."
)
LEAVE_OUT = (
    "Replace {name} by operations that the Edge TPU has (docs/models.md), or end the model before it and do that "
    "step in your program."
)

FIT = (
    "Fit all parameters onto the chip, where {megabytes} MB too many are streamed for each inference: fewer channels "
    "(a width multiplier of about {width}), or a smaller last layer."
)
SMALLER = "Take a smaller picture (of {2}x{3} instead of {0}x{1}), and train again: fewer pixels, less to compute."

ONE_PART = (
    "Have one part on the Edge TPU instead of {parts}, without operations on the CPU between: each takes a way of "
    "its own to the chip and back, and what passes between is not even in this figure."
)

# By rule, for any operator.
RULES: Mapping[str, str] = {
    "complete": "Convert the model again: {name} lacks inputs or outputs.",
    "constant-parameters": "Make the weights and other parameters of {name} constants (freeze the model first).",
    "default-weights": "Convert without shuffled weights (an option for Arm CPUs of old converters).",
    "flat-alpha": "Share the slopes of PRELU across the picture (shared_axes=[1, 2]): one for each channel.",
    "dense-rows": f"Give {{name}} at most {shown(DENSE_ROWS.mapped)} rows (Flatten before it, or 1x1 convolutions).",
    "leading-ones": "Use RESHAPE instead of SQUEEZE, or squeeze only leading dimensions.",
    "not-in-batch": "Reduce over height and width only, or over a multiple of 4 channels; never over the batch.",
    "not-first": "Split along another dimension than the first, or take the parts with SLICE.",
    "own-state": "Give each recurrent layer a state of its own.",
    "plain-slice": "Slice with strides of 1 and without new axes (pick every second value by a pool or convolution).",
    "readable-version": (
        "Convert with an older TensorFlow (2.8 for most models): the compiler reads {name} up to version {newest}."
    ),
    "resize-factor": (
        f"Enlarge in steps of at most {shown(RESIZE_FACTOR.mapped)} times; or let your program enlarge the output, "
        "and leave {name} out of the model."
    ),
    "resize-side": (
        f"Enlarge to at most {shown(RESIZE_SIDE.mapped)} pixels a side, with a smaller input; or let your program "
        "enlarge the output, and leave {name} out of the model."
    ),
    "same-dilation": "Use the same dilation in x and y.",
    "softmax-rows": f"Take the softmax of at most {shown(SOFTMAX_ROWS.mapped)} rows, or in your program.",
    "softmax-size": f"Take the softmax of at most {shown(SOFTMAX_SIZE.mapped)} elements, or in your program.",
    "some-input": "Replace {name} by its result: all that it reads is constant.",
    "static-size": "Convert with fixed sizes: batch 1, a fixed picture size, no operations that choose sizes.",
    "three-dimensions": (
        "Use batch 1, and keep to three dimensions: all but the innermost three have to be 1 (RESHAPE before {name})."
    ),
    "transpose-size": (
        f"Transpose at most {shown(TRANSPOSE_SIZE.mapped)} elements at once (a smaller input), or end the model "
        "before {name} and do that step in your program."
    ),
    "unfused": "Put the activation of {name} into an operation of its own (a RELU layer after it).",
    "zero-padding": "Concatenate with a constant only to pad with zeros; use PAD for that.",
}

# By operator, where the Edge TPU has none of that name.
OPERATORS: Mapping[str, str] = {
    "ABS": "Replace ABS by MAXIMUM of x and -x (MUL by -1).",
    "ARG_MAX": "End the model before ARG_MAX, and look for the largest score in your program.",
    "ARG_MIN": "End the model before ARG_MIN, and look for the smallest score in your program.",
    "BATCH_TO_SPACE_ND": "Train with dilation that the converter can fuse (fixed sizes), or without dilation.",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "Use one-directional LSTM layers.",
    "BROADCAST_TO": "Replace BROADCAST_TO by TILE, or let ADD and MUL broadcast.",
    "CAST": "Leave CAST out: keep everything in one 8-bit type, and convert in your program.",
    "DEPTH_TO_SPACE": "Replace DEPTH_TO_SPACE by TRANSPOSE_CONV or RESIZE_NEAREST_NEIGHBOR and a convolution.",
    "DEQUANTIZE": FLOAT_OUTPUT,
    "DIV": "Replace DIV by MUL with the inverse, as a constant.",
    "ELU": "Use RELU or RELU6 instead of ELU, and train again.",
    "EXP": "Leave EXP out: use LOGISTIC, TANH or SOFTMAX, or take the exponential in your program.",
    "GATHER": "Replace GATHER by SLICE or SPLIT, or look up in your program.",
    "GELU": "Use RELU or RELU6 instead of GELU, and train again.",
    "HARD_SWISH": "Use RELU6 instead of hard swish (as the minimalistic and EdgeTPU variants of models do).",
    "LEAKY_RELU": "Use RELU instead of LEAKY_RELU, or PRELU with one slope for each channel.",
    "MIRROR_PAD": "Pad with zeros (PAD) instead of mirroring.",
    "NEG": "Replace NEG by MUL with -1.",
    "PADV2": "Pad with zeros (PAD), or with a quantized model's zero.",
    "POW": "Replace POW by MUL of a tensor with itself.",
    "REVERSE_V2": "Leave REVERSE_V2 out: reverse in your program.",
    "SHAPE": "Convert with fixed input sizes (batch 1): SHAPE computes sizes at run time.",
    "SPACE_TO_BATCH_ND": "Train with dilation that the converter can fuse (fixed sizes), or without dilation.",
    "SPLIT_V": "Split into equal parts (SPLIT), or use SLICE.",
    "SQRT": "Replace SQRT by RSQRT and MUL.",
    "SQUARE": "Replace SQUARE by MUL of a tensor with itself.",
    "TOPK_V2": "End the model before TOPK_V2, and choose the best in your program.",
    "UNPACK": "Replace UNPACK by SPLIT and RESHAPE.",
}
