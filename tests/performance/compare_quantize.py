"""Measures `invoke quantize` against a plain script with TFLiteConverter: same model, same samples, in turn.

For docs/quantize.md: ``python -m tests.performance.compare_quantize [ROUNDS [SAMPLES]]``, some minutes. It needs
the Python of ``invoke quantize``. Processor time (of all processes and threads) says more than wall time on a
machine that is busy; memory is that of the largest process. The plain script calibrates with as many samples as
ours does, and does nothing else: it compares and checks nothing.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from coralforge.quantize.environment import find_python

ROOT = Path(__file__).resolve().parents[2]
MODEL = """
import keras, sys, numpy as np
keras.utils.set_random_seed(1)
keras.applications.MobileNetV2((224, 224, 3), weights=None, classes=1000).save(sys.argv[1])
rng = np.random.default_rng(1)
np.save(sys.argv[2], rng.random((int(sys.argv[3]), 224, 224, 3), np.float32) * 2 - 1)
"""
PLAIN = """
import sys, numpy as np, tensorflow as tf, keras
model = keras.models.load_model(sys.argv[1], compile=False)
samples = np.load(sys.argv[2], mmap_mode="r")
converter = tf.lite.TFLiteConverter.from_keras_model(model)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = lambda: ([samples[i:i + 1]] for i in range(len(samples)) if i % 5 != 4)
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.inference_input_type = converter.inference_output_type = tf.uint8
converter._experimental_disable_per_channel_quantization_for_dense_layers = True
open(sys.argv[3], "wb").write(converter.convert())
"""
OURS = """
import sys
from pathlib import Path
from coralforge.events import Recorder
from coralforge.quantize.quantize import QuantizeOptions, quantize
model, samples, output = sys.argv[1:]
options = QuantizeOptions(Path(model), Path(output), samples, preprocess="raw", max_samples=100_000)
quantize(options, Recorder())
"""


@dataclass(frozen=True)
class Taken:
    """Seconds of processors, seconds of the clock, and MiB of the largest process."""

    processor: float
    wall: float
    memory: float


def run(command: list[str], environment: dict[str, str] | None = None) -> Taken:
    """Run a program to its end, with all that it starts."""
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(said.decode()[-3000:])
    used: resource.struct_rusage = usage
    return Taken(used.ru_utime + used.ru_stime, time.monotonic() - started, used.ru_maxrss / 1024)


def main(rounds: int, samples: int) -> None:
    """Print each round, and the medians."""
    python = str(find_python())
    with tempfile.TemporaryDirectory() as made:
        model, arrays, output = (str(Path(made) / name) for name in ("m.keras", "s.npy", "out.tflite"))
        run([python, "-c", MODEL, model, arrays, str(samples)])
        pairs = []
        for number in range(rounds):
            plain = run([python, "-c", PLAIN, model, arrays, output])
            ours = run(
                [sys.executable, "-c", OURS, model, arrays, output],
                {"PYTHONPATH": str(ROOT / "src"), "CORALFORGE_MODELS_PYTHON": python},
            )
            pairs.append((plain, ours))
            print(f"round {number + 1}: plain {plain}, ours {ours}", flush=True)
    for name in ("processor", "wall", "memory"):
        ratios = [getattr(ours, name) / getattr(plain, name) for plain, ours in pairs]
        medians = [statistics.median(getattr(one[side], name) for one in pairs) for side in (0, 1)]
        print(f"{name}: plain {medians[0]:.1f}, ours {medians[1]:.1f}, median ratio {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    main(*(numbers + [5, 100][len(numbers) :]))
