"""Makes two models with random weights for compare_interpreters.py: ``PYTHON standin_models.py FOLDER``.

PYTHON is one with TensorFlow. Inception v3 and an SSD on MobileNet v1, without its postprocessing; int8, batch 1.
Time does not depend on weights, and the trained ones are too large for tests/data.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.update(TF_CPP_MIN_LOG_LEVEL="2", CUDA_VISIBLE_DEVICES="-1")

import keras
import numpy as np
import tensorflow as tf

SAMPLES = 4


def quantize(model: Any, target: Path) -> None:
    """Convert to int8, with random samples, and write the file."""
    chance = np.random.default_rng(1)

    def samples() -> Iterator[list[Any]]:
        for _ in range(SAMPLES):
            yield [chance.uniform(-1, 1, model.input_shape).astype(np.float32)]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    target.write_bytes(converter.convert())


def inception() -> Any:
    """Inception v3, 299 x 299."""
    return keras.applications.InceptionV3(weights=None, input_tensor=keras.Input(batch_shape=(1, 299, 299, 3)))


def ssd() -> Any:
    """Boxes and scores of 91 classes from six layers of MobileNet v1 and what follows, 300 x 300."""
    image = keras.Input(batch_shape=(1, 300, 300, 3))
    base = keras.applications.MobileNet(input_tensor=image, include_top=False, weights=None)
    features = [base.get_layer("conv_pw_11_relu").output, base.output]
    for filters in (512, 256, 256, 128):
        narrow = keras.layers.Conv2D(filters // 2, 1, activation="relu6", use_bias=False)(features[-1])
        features.append(keras.layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu6")(narrow))
    boxes, scores = [], []
    for index, feature in enumerate(features):
        anchors = 6 if index else 3
        boxes.append(keras.layers.Reshape((-1, 4))(keras.layers.Conv2D(anchors * 4, 1)(feature)))
        scores.append(keras.layers.Reshape((-1, 91))(keras.layers.Conv2D(anchors * 91, 1)(feature)))
    joined = keras.layers.Activation("sigmoid")(keras.layers.Concatenate(axis=1)(scores))
    return keras.Model(image, [keras.layers.Concatenate(axis=1)(boxes), joined])


def main() -> None:
    folder = Path(sys.argv[1])
    keras.utils.set_random_seed(1)
    quantize(inception(), folder / "inception_v3_299_random_int8.tflite")
    quantize(ssd(), folder / "ssd_mobilenet_v1_300_random_int8.tflite")


if __name__ == "__main__":
    main()
