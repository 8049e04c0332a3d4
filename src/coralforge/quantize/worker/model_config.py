"""Looks for what would run code in the description of a Keras model, before Keras sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from coralforge.errors import CoralforgeError, user_error
from coralforge.quantize.worker.model_files import ModelFile

_OURS = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras", "builtins")
# Functions that a TFOpLambda of Keras 2 may name; these would reach out of the model.
_OUTSIDE = ("io.", "raw_ops.", "py_function", "numpy_function", "saved_model.", "load_", "train.", "distribute.")

# What Keras 2 and Keras 3 say of a class that they do not know.
_UNKNOWN = re.compile(
    r"Unknown (?:layer|object|\w+ ?function|initializer|regularizer|constraint): ['\"]?(\w+)"
    r"|Could not locate (?:class|function) ['\"](\w+)"
)


def check_code(model: ModelFile, trust: bool) -> None:
    """Refuse a model file that holds code, or names classes of other packages, unless the user trusts it.

    Raises:
        CoralforgeError: reason ``model-code`` or ``model-custom-layer``; exit code 2.
    """
    if trust or model.config is None:
        return
    if code := sorted({_name(layer) for layer in _objects(model.config) if _holds_code(layer)}, key=_nameless):
        raise user_error(
            f"{model.path} has code in it, which would run when it is loaded",
            reason="model-code",
            details="\n".join(
                _shown([f"the layer {name}" for name in code if name == code[0] or not _nameless(name)])
            ),
            remedy="replace Lambda layers by ordinary ones; or, if you know who made the file, add --trust",
        )
    if foreign := _foreign(model.config):
        raise custom_layers(model.path, foreign)


def custom_layers(path: Path, layers: Sequence[str]) -> CoralforgeError:
    """A model with classes that Keras does not know (exit code 2)."""
    return user_error(
        f"{path} has layers that are not Keras' own",
        reason="model-custom-layer",
        details="\n".join(_shown(layers)),
        remedy="in the program that defines them, run model.export(DIR), and give that folder as --model",
    )


def unknown_layers(message: str) -> list[str]:
    """The class that Keras, in its own words, does not know; empty when it complains of something else."""
    found = _UNKNOWN.search(message)
    return [next(filter(None, found.groups()))] if found else []


def _foreign(config: Any) -> list[str]:
    return sorted({f"{_name(layer)}: {where}" for layer in _objects(config) if (where := _foreign_class(layer))})


def _foreign_class(layer: dict[str, Any]) -> str:
    """The class of an object that Keras does not define itself, empty for all others."""
    module, registered = layer.get("module"), layer.get("registered_name")
    packages = str(registered).split(">")[0] if ">" in str(registered) else ""
    inside = module is None or any(module == name or str(module).startswith(f"{name}.") for name in _OURS)
    if inside and packages.lower() in ("", "keras", "tf_keras"):
        return ""
    return f"{module or packages}.{layer.get('class_name')}"


def _holds_code(layer: dict[str, Any]) -> bool:
    kind, config = layer.get("class_name"), layer.get("config")
    if kind in ("Lambda", "__lambda__", "TorchModuleWrapper"):
        return True
    function = str(config.get("function", "")) if isinstance(config, dict) else ""
    return kind == "TFOpLambda" and function.startswith(_OUTSIDE)


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Every serialized object; without recursion, since the file decides how deep it is nested."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _name(layer: dict[str, Any]) -> str:
    config = layer.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    return _printable(str(name or layer.get("name") or layer.get("class_name")))


def _nameless(name: str) -> bool:
    return name == "__lambda__"  # the code inside of a layer, which has a name


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:80])


def _shown(lines: Sequence[str], most: int = 10) -> list[str]:
    return [*lines[:most], *([f"and {len(lines) - most} more"] if len(lines) > most else [])]
