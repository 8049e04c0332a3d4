"""Makes nearest UpSampling2D of Keras 3 an operation that the Edge TPU compiler takes.

Keras 2 resized; Keras 3 repeats, which becomes TILE of 8-bit tensors, in a version that makes the compiler reject the
whole model. Repeating whole pixels and resizing to the nearest are the same, value for value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def upsample_by_resizing(model: Any) -> None:
    """Change how the layers of a loaded model are computed; what they compute stays."""
    import keras

    for layer in _layers(model):
        plain = isinstance(layer, keras.layers.UpSampling2D) and layer.interpolation == "nearest"
        if plain and layer.data_format == "channels_last":
            layer.call = _resizing(*layer.size)


def _resizing(height: int, width: int) -> Callable[[Any], Any]:
    import tensorflow as tf

    def call(inputs: Any) -> Any:
        size = tf.shape(inputs)[1:3] * (height, width)
        return tf.image.resize(inputs, size, method="nearest")

    return call


def _layers(model: Any) -> Iterator[Any]:
    for layer in getattr(model, "layers", ()):
        yield layer
        yield from _layers(layer)
