"""Loads a model with TensorFlow and fixes its shapes: a batch of 1, every size known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from coralforge.errors import CoralforgeError, lines_of, user_error
from coralforge.quantize.worker import graphs
from coralforge.quantize.worker.model_config import custom_layers, unknown_layers
from coralforge.quantize.worker.model_files import Kind, ModelFile
from coralforge.quantize.worker.names import plain
from coralforge.quantize.worker.request import Request
from coralforge.quantize.worker.samples import Feed, Input
from coralforge.quantize.worker.upsampling import upsample_by_resizing

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class FloatModel:
    """A model as one function from named inputs to named outputs, in the order of the model."""

    function: Any = field(repr=False)
    """A ``tf.function`` with one fixed signature."""
    concrete: Any = field(repr=False)
    holder: Any = field(repr=False)
    """A ``tf.Module`` that holds the function's variables."""
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    scales_pixels: bool

    def run(self, feed: Feed) -> dict[str, Any]:
        """The outputs, by name, for one sample."""
        import tensorflow as tf

        made = self.concrete(**{one.name: tf.constant(feed[one.name]) for one in self.inputs})
        return {name: made[name].numpy() for name in self.outputs}


@dataclass(frozen=True)
class _Loaded:
    """A loaded model: ``call`` takes tensors in the order of ``specs``, gives those of ``outputs``."""

    call: Any
    keep: Any
    """Whatever owns the variables."""
    specs: Sequence[Any]
    outputs: Sequence[str]


def load(file: ModelFile, request: Request) -> FloatModel:
    """Load and check the model.

    Raises:
        CoralforgeError: exit code 2, a reason that starts with ``model-``.
    """
    loaded = _load_saved(file, request) if file.kind is Kind.SAVED_MODEL else _load_keras(file, request)
    return _fixed(loaded, request)


def _load_keras(file: ModelFile, request: Request) -> _Loaded:
    try:
        model = _keras_model(file, request)
        structure = _structure(model)
    except CoralforgeError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # Keras raises anything
        raise _not_loaded(file, error) from error
    if structure is None:
        raise user_error(
            f"{file.path}: the model does not say what its inputs are",
            reason="model-dynamic",
            remedy="give it an Input layer, or call model.build(), and save it again",
        )
    return _keras_function(model, structure, file.legacy)


def _keras_model(file: ModelFile, request: Request) -> Any:
    if file.legacy:
        import tf_keras

        return tf_keras.models.load_model(str(file.path), compile=False, safe_mode=not request.trust)
    import keras

    return keras.models.load_model(str(file.path), compile=False, safe_mode=not request.trust)


def _structure(model: Any) -> Any:
    """The inputs as the model takes them: a tensor, a list or a dictionary; None when it is not built."""
    try:
        structure = model.input
    except AttributeError:  # a Sequential of Keras 3 that was never called
        inputs = getattr(model, "inputs", None)
        structure = inputs[0] if inputs else None
    return structure


def _keras_function(model: Any, structure: Any, legacy: bool) -> _Loaded:
    import tensorflow as tf

    tensors = tf.nest.flatten(structure)
    names = _names([tensor.name for tensor in tensors])
    specs = [tf.TensorSpec(t.shape, t.dtype, name=name) for t, name in zip(tensors, names, strict=True)]
    outputs = getattr(model, "output_names", None) or [model.layers[-1].name]

    def call(*values: Any) -> Any:
        return tf.nest.flatten(model(tf.nest.pack_sequence_as(structure, list(values)), training=False))

    if not legacy:
        upsample_by_resizing(model)
    keep = model if legacy else [variable.value for variable in model.variables]
    return _Loaded(call, keep, specs, _names(list(outputs)))


def _load_saved(file: ModelFile, request: Request) -> _Loaded:
    import tensorflow as tf

    graphs.check_loading(file.path, request.trust)
    try:
        loaded = tf.saved_model.load(str(file.path))
        signatures = dict(loaded.signatures)
    except MemoryError:
        raise
    except Exception as error:
        raise _not_loaded(file, error) from error
    signature = signatures[_signature_name(file, signatures, request.signature)]
    wanted = signature.structured_input_signature[1]
    keys = sorted(wanted, key=request.inputs.index) if request.inputs else list(wanted)
    names = _names(keys)
    specs = [tf.TensorSpec(wanted[key].shape, wanted[key].dtype, name=n) for key, n in zip(keys, names, strict=True)]
    given = signature.structured_outputs
    outputs = sorted(given, key=request.outputs.index) if request.outputs else list(given)

    def call(*values: Any) -> Any:
        made = signature(**dict(zip(keys, values, strict=True)))
        return [made[name] for name in outputs]

    return _Loaded(call, loaded, specs, _names(outputs))


def _signature_name(file: ModelFile, signatures: dict[str, Any], wanted: str) -> str:
    names = sorted(signatures)
    chosen = wanted or (DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in names else names[0] if len(names) == 1 else "")
    if chosen not in names:
        has = f"its signatures: {', '.join(names)}" if names else "it has no signatures"
        raise user_error(
            f"{file.path} has no signature {chosen!r}" if chosen else f"{file.path}: which signature is meant?",
            reason="model-signature",
            details=has,
            remedy="give one as --signature NAME" if names else "save it with model.export(DIR)",
        )
    return chosen


def _fixed(loaded: _Loaded, request: Request) -> FloatModel:
    """The function with static shapes, traced, looked at, and frozen to see how it begins."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    specs = [tf.TensorSpec(_static(spec, loaded.specs, request), spec.dtype, name=spec.name) for spec in loaded.specs]

    def call(*values: Any) -> dict[str, Any]:
        made = loaded.call(*values)
        return {name: tf.identity(tensor, name=name) for name, tensor in zip(loaded.outputs, made, strict=True)}

    try:
        function = tf.function(call, input_signature=specs)
        concrete = function.get_concrete_function()
    except MemoryError:
        raise
    except Exception as error:
        raise _failed(request.model, "it cannot be computed with these shapes", error) from error
    graphs.check_graph(request.model, concrete.graph.as_graph_def(), request.trust)
    _check_outputs(request.model, concrete)
    holder = tf.Module()
    holder.keep, holder.function = loaded.keep, function
    inputs = tuple(Input(spec.name, tuple(spec.shape), spec.dtype.as_numpy_dtype.__name__) for spec in specs)
    pictures = len(inputs) == 1 and len(inputs[0].shape) == 4
    scales = pictures and graphs.scales_pixels(convert_variables_to_constants_v2(concrete))
    return FloatModel(function, concrete, holder, inputs, tuple(loaded.outputs), scales)


def _static(spec: Any, specs: Sequence[Any], request: Request) -> list[int]:
    """The shape with a batch of 1 and ``--input-shape`` for what is open."""
    if spec.shape.rank is None or spec.shape.rank == 0 or not (spec.dtype.is_floating or spec.dtype.is_integer):
        raise user_error(
            f"{request.model}: its input {spec.name} ({spec.dtype.name}) has no batch, or holds no numbers",
            reason="model-dynamic",
            remedy="save it with an input of numbers whose first size is the batch",
        )
    batch, *sizes = spec.shape.as_list()
    wanted = list(request.shape) if len(specs) == 1 and request.shape else sizes
    fits = len(wanted) == len(sizes) and all(old in (None, new) for old, new in zip(sizes, wanted, strict=True))
    if batch not in (None, 1) or not fits or None in wanted:
        open_shape = "x".join("?" if size is None else str(size) for size in sizes)
        remedy = (
            "give its sizes, for example --input-shape 224x224x3" if len(specs) == 1 else "save it with fixed sizes"
        )
        raise user_error(
            f"{request.model}: the input {spec.name} is {open_shape} with a batch of {batch or '?'}; "
            + (
                "--input-shape differs"
                if request.shape and not fits
                else "the Edge TPU needs known sizes and a batch of 1"
            ),
            reason="model-dynamic",
            remedy="save it with an open batch, or one of 1" if batch not in (None, 1) else remedy,
        )
    return [1, *wanted]


def _check_outputs(model: str, concrete: Any) -> None:
    wrong = [t.name for t in concrete.structured_outputs.values() if not (t.dtype.is_floating or t.dtype.is_integer)]
    if wrong:
        raise user_error(
            f"{model} has outputs that are no numbers: {', '.join(wrong)}",
            reason="model-op-unsupported",
            remedy="take them out of the model",
        )


def _names(given: Sequence[str]) -> list[str]:
    """Names for the signature; what follows a colon is TensorFlow's number of an output."""
    return plain([name.split(":")[0] for name in given])


def _not_loaded(file: ModelFile, error: BaseException) -> CoralforgeError:
    if unknown := unknown_layers(str(error)):
        return custom_layers(file.path, unknown)
    return _failed(str(file.path), f"{_reader(file)} cannot load it", error)


def _reader(file: ModelFile) -> str:
    """Who could not; with the version of the file, which may be newer."""
    if file.kind is Kind.SAVED_MODEL:
        return "TensorFlow"
    here = f"Keras {version('tf-keras' if file.legacy else 'keras')}"
    return f"{here} (the file is of {file.version})" if file.version else here


def _failed(model: str, what: str, error: BaseException) -> CoralforgeError:
    return user_error(
        f"{model} is not a model that can be used: {what}",
        reason="model-load",
        details="\n".join(lines_of(error)),
        remedy="see in docs/quantize.md which file needs what; a SavedModel works for most",
    )
