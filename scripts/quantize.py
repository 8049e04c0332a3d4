#!/usr/bin/env python3
"""Quantize a Keras model with random samples: the shortest way to a .tflite to try out.

    .venv-models/bin/python scripts/quantize.py -m MODEL -o OUTPUT

The same as `invoke quantize --model MODEL --output OUTPUT --random 100`. Random samples say nothing of accuracy,
and the output says so; with real ones use `invoke quantize --samples`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))


def main() -> None:
    """Parse the flags, and do what `invoke quantize` does."""
    from coralforge.commands import boundary, models
    from coralforge.commands.options import Said

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-m", "--model", required=True, help="a .keras or .h5 file, or the folder of a SavedModel")
    parser.add_argument("-o", "--output", help="where the .tflite goes (default: MODEL_quant.tflite)")
    parser.add_argument("-n", "--count", default="100", help="how many random samples (default: 100)")
    arguments = parser.parse_args()
    said = Said(model=arguments.model, output=arguments.output, random=arguments.count)
    boundary.run(models.quantize_model, said)


if __name__ == "__main__":
    main()
