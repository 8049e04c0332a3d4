"""Which TensorFlow is here, and whether it is the one that coralforge is tested with."""

from __future__ import annotations

import os
from importlib.metadata import version

from coralforge.errors import missing_error
from coralforge.quantize.worker.wire import Reporter

TENSORFLOW = "2.21.0"
"""The version in requirements-models.lock."""

# Before TensorFlow is imported: no GPU, no oneDNN (its sums depend on the machine), few messages.
SETTINGS = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}


def check_tensorflow(reporter: Reporter) -> dict[str, str]:
    """Import TensorFlow; the versions of what computes.

    Raises:
        CoralforgeError: reason ``tensorflow-missing``, exit code 3.
    """
    os.environ.update(SETTINGS)
    try:
        versions = {name: version(name) for name in ("keras", "tf-keras", "numpy")}
        import tensorflow as tf
    except ImportError as error:
        raise missing_error(
            f"this Python has no TensorFlow with Keras 2 and 3: {error}",
            reason="tensorflow-missing",
            remedy="unset CORALFORGE_MODELS_PYTHON and run scripts/bootstrap --models quantize ...",
        ) from error
    if tf.__version__ != TENSORFLOW:
        reporter.note(f"TensorFlow {tf.__version__}: coralforge is tested with {TENSORFLOW} only", "warning")
    return {**versions, "tensorflow": tf.__version__}
