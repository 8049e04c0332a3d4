"""Holds a converted model against the ONNX model, in ONNX Runtime: converting is not believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coralforge.convert.worker.read import inputs
from coralforge.convert.worker.translate import Translated
from coralforge.errors import user_error

INFERENCES = 3
WORST = 0.01  # of an output's range; sums in another order differ by a thousandth of that


@dataclass(frozen=True)
class Compared:
    """The worst error of each output, as a part of the range of its values in ONNX Runtime."""

    inferences: int
    errors: tuple[float, ...]


def compare(path: str, model: Any, made: Translated) -> Compared:
    """Run both with the same noise.

    Raises:
        CoralforgeError: exit code 2, reason ``model-conversion`` or ``model-not-finite``.
    """
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    errors = [0.0] * len(made.outputs)
    for _ in range(INFERENCES):
        feed = {one.name: _noise(one, random) for one in inputs(model)}
        exact = session.run([one.name for one in made.outputs], feed)
        if not all(np.isfinite(value).all() for value in exact):
            raise user_error(
                f"{path} computes values that are not finite (NaN or infinity), for inputs between 0 and 1",
                reason="model-not-finite",
                remedy="check its weights",
            )
        found = made.run(list(feed.values()))
        errors = [max(old, _error(a, b)) for old, a, b in zip(errors, exact, found, strict=True)]
    for one, error in zip(made.outputs, errors, strict=True):
        if not error <= WORST:
            raise user_error(
                f"{path} was converted wrong: its output {one.name} differs by {100 * error:.3g} % of its range",
                reason="model-conversion",
                remedy="end earlier with --outputs NAME,...; or export it with another opset version (13 to 17)",
            )
    return Compared(INFERENCES, tuple(errors))


def _noise(value: Any, random: Any) -> Any:
    import numpy as np
    from onnx import helper

    kind = value.type.tensor_type
    values = random.random([one.dim_value for one in kind.shape.dim])
    return values.astype(np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type)))


def _error(exact: Any, found: Any) -> float:
    """The worst difference as a part of the range; in whichever order of axes fits better."""
    import numpy as np

    real = np.asarray(exact, np.float64)
    orders = [real] if real.shape == found.shape else []
    if real.ndim > 2 and (turned := np.moveaxis(real, 1, -1)).shape == found.shape:
        orders.append(turned)
    if not orders:
        return float("inf")
    span = float(np.ptp(real)) or 1.0
    return min(float(np.abs(one - found).max()) for one in orders) / span
