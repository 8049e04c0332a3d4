"""Makes the models and samples that test_quantize.py needs: `.venv-models/bin/python keras_models.py FOLDER`.

Real TensorFlow, Keras 2 and Keras 3; small models with fixed seeds. Only "cnn" is trained, on pictures made here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.update(TF_CPP_MIN_LOG_LEVEL="2", CUDA_VISIBLE_DEVICES="-1")

import keras
import numpy as np
import tensorflow as tf
import tf_keras
from PIL import Image

SIDE, CLASSES = 24, 4
Array = Any


def pictures(count: int, seed: int) -> tuple[Array, Array]:
    """uint8 pictures and their classes: stripes across, stripes along, a bright disc, a gradient; all with noise."""
    chance = np.random.default_rng(seed)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    made, labels = [], chance.integers(0, CLASSES, count)
    for label in labels:
        step, place = chance.integers(4, 9), chance.integers(6, SIDE - 6, 2)
        shapes = (y // step % 2, x // step % 2, (y - place[0]) ** 2 + (x - place[1]) ** 2 < 30, (x + y) / (2 * SIDE))
        bright = np.asarray(shapes[label], np.float32)[..., None] * chance.uniform(100, 200, 3)
        made.append(np.clip(bright + chance.normal(30, 15, (SIDE, SIDE, 3)), 0, 255))
    return np.asarray(made, np.uint8), labels


def cnn(k: Any, rescale: bool) -> Any:
    """Convolution, depthwise convolution, dense; with a Rescaling layer or for pixels that are 0 to 1."""
    layers = [k.layers.Rescaling(1 / 255)] if rescale else []
    layers += [k.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False), k.layers.BatchNormalization()]
    layers += [k.layers.ReLU(6.0), k.layers.DepthwiseConv2D(3, padding="same", activation="relu")]
    layers += [k.layers.Conv2D(16, 1, activation="relu"), k.layers.GlobalAveragePooling2D()]
    layers += [k.layers.Dense(CLASSES, activation="softmax", name="scores")]
    image = k.Input((SIDE, SIDE, 3), name="image")
    made = image
    for layer in layers:
        made = layer(made)
    return k.Model(image, made)


def collapse(model: Any) -> Any:
    """The same in floats; in 8 bits one huge weight, of a feature that is always 0, leaves nothing of the others."""
    *_, features, _, scores = model.layers
    (kernel, bias), (weights, offsets) = features.get_weights(), scores.get_weights()
    kernel[..., 0], bias[0], weights[0] = 0, -1, 1e5
    features.set_weights([kernel, bias])
    scores.set_weights([weights, offsets])
    return model


def save_good(folder: Path) -> None:
    """Models that can be quantized."""
    pixels, labels = pictures(600, 1)
    trained = cnn(keras, rescale=True)
    trained.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    trained.fit(pixels.astype("float32"), labels, epochs=12, batch_size=32, verbose=0)
    trained.save(folder / "cnn.keras")
    trained.save(folder / "cnn3.h5")
    trained.export(str(folder / "cnn_saved"), verbose=False)
    collapse(trained).save(folder / "collapsing.keras")
    sequential(keras, keras.layers.Conv2D(4, 1)).save(folder / "wide.keras")
    cnn(tf_keras, rescale=False).save(folder / "old.h5")
    cnn(tf_keras, rescale=False).save(folder / "old.keras")
    zeta, alpha = keras.Input((8, 8, 3), name="zeta"), keras.Input((4,), name="alpha")
    flat = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, activation="relu")(zeta))
    both = keras.layers.Concatenate()([flat, alpha])
    outputs = [keras.layers.Dense(size, name=name)(both) for size, name in ((5, "second"), (3, "first"))]
    keras.Model([zeta, alpha], outputs).save(folder / "two.keras")
    decoder = [keras.layers.UpSampling2D(), keras.layers.Conv2DTranspose(4, 3, bias_initializer="ones")]
    decoder += [keras.layers.ReLU(), keras.layers.Conv2DTranspose(4, 3, bias_initializer="ones", activation="relu6")]
    sequential(keras, *decoder).save(folder / "decoder.keras")
    open_size = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3), keras.layers.ReLU()])
    open_size.save(folder / "open.keras")
    recurrent = tf_keras.Sequential([tf_keras.layers.LSTM(6, input_shape=(5, 3)), tf_keras.layers.Dense(4)])
    recurrent.save(folder / "lstm2.h5")


@keras.saving.register_keras_serializable("Mine")
class Swoosh(keras.layers.Layer):  # type: ignore[misc]
    """A layer that nobody else has."""

    def call(self, x: Any) -> Any:
        return keras.ops.relu(x) * 0.5


class OldSwoosh(tf_keras.layers.Layer):  # type: ignore[misc]
    """The same in Keras 2, as it was saved then: with nothing but a name."""

    def call(self, x: Any) -> Any:
        return tf.nn.relu(x) * 0.5


def sequential(k: Any, *layers: Any) -> Any:
    return k.Sequential(
        [k.layers.InputLayer(shape=(8, 8, 4)) if k is keras else k.layers.InputLayer((8, 8, 4)), *layers]
    )


def save_bad(folder: Path) -> None:
    """Models that are refused, each for its own reason."""
    k3, k2 = keras.layers, tf_keras.layers
    sequential(keras, k3.Lambda(lambda x: x * 2)).save(folder / "lambda.keras")
    sequential(tf_keras, k2.Lambda(lambda x: x * 2), k2.Conv2D(4, 1)).save(folder / "lambda.h5")
    sequential(keras, Swoosh()).save(folder / "custom.keras")
    sequential(tf_keras, OldSwoosh()).save(folder / "custom.h5")
    sequential(keras, k3.Conv2D(8, 3, groups=2)).save(folder / "grouped.keras")
    sequential(keras, k3.Conv2D(8, 3, activation="exponential")).save(folder / "exp.keras")
    sequential(keras, k3.Conv2D(8, 3, activation="gelu")).save(folder / "gelu.keras")
    nan = sequential(keras, k3.Conv2D(8, 3))
    nan.layers[0].set_weights([np.full((3, 3, 4, 8), np.nan), np.zeros(8)])
    nan.save(folder / "nan.keras")
    sequential(keras, k3.Conv2D(8, 3)).save_weights(folder / "only.weights.h5")
    keras.Sequential([keras.Input((5, 3)), k3.LSTM(4)]).save(folder / "loop.keras")
    keras.Sequential([k3.Dense(3)]).save(folder / "unbuilt.keras")


def save_graphs(folder: Path) -> None:
    """SavedModels that no Keras made."""
    image = tf.TensorSpec([None, 8, 8, 3], tf.float32, name="image")

    def save(name: str, **functions: Any) -> None:
        module = tf.Module()
        traced = {
            key: tf.function(f, input_signature=[image]).get_concrete_function() for key, f in functions.items()
        }
        module.functions = list(traced.values())
        tf.saved_model.save(module, str(folder / name), signatures=traced)

    def write(x: Any) -> dict[str, Any]:
        with tf.control_dependencies([tf.io.write_file(str(folder / "written"), "evil")]):
            return {"y": tf.identity(x)}

    save("several", first=lambda x: {"y": tf.nn.relu(x)}, other=lambda x: {"y": tf.nn.relu6(x)})
    save("writes", serving_default=write)
    save(
        "python",
        serving_default=lambda x: {"y": tf.ensure_shape(tf.py_function(lambda v: v, [x], tf.float32), x.shape)},
    )
    save("unsupported", serving_default=lambda x: {"y": tf.math.igamma(x, x)})
    save("nothing")


def save_samples(folder: Path) -> None:
    """The same pictures as a folder, as arrays and by a function."""
    pixels, labels = pictures(100, 2)
    for number, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
        place = folder / "pictures" / f"class{label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).resize((50, 40)).save(place / f"{number}.png")
    np.save(folder / "pixels.npy", pixels)
    np.savez(folder / "labelled.npz", image=pixels, labels=labels)
    np.save(folder / "floats.npy", pixels.astype(np.float32) / 255)
    chance = np.random.default_rng(3)
    np.savez_compressed(folder / "two.npz", alpha=chance.random((60, 4)), zeta=chance.random((60, 8, 8, 3)))
    np.save(folder / "sequences.npy", chance.normal(size=(60, 5, 3)))
    (folder / "mysamples.py").write_text(
        "from pathlib import Path\nimport numpy as np\n\n"
        "def samples():\n    yield from np.load(Path(__file__).with_name('pixels.npy')).astype('float32')\n"
    )


def main(folder: Path) -> None:
    """Everything, into a folder that exists."""
    keras.utils.set_random_seed(7)
    tf_keras.utils.set_random_seed(7)
    save_good(folder)
    save_bad(folder)
    save_graphs(folder)
    save_samples(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
