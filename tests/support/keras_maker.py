"""Makes files that look like what Keras writes, without TensorFlow; for the tests of the quantizer's readers."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

Layer = dict[str, Any]


def layer(kind: str, name: str, **more: Any) -> Layer:
    """One layer as Keras 3 describes it."""
    config = {"name": name, **more.pop("config", {})}
    return {"module": "keras.layers", "class_name": kind, "config": config, "registered_name": None, **more}


def sequential(*layers: Layer) -> Layer:
    return {**layer("Sequential", "sequential"), "config": {"name": "sequential", "layers": list(layers)}}


def plain_model() -> Layer:
    return sequential(layer("InputLayer", "input"), layer("Dense", "dense", config={"units": 3}))


def lambda_model() -> Layer:
    code = {"class_name": "__lambda__", "config": {"code": "4wAAAA==", "defaults": None}}
    return sequential(layer("InputLayer", "input"), layer("Lambda", "evil", config={"function": code}))


def write_keras(path: Path, config: Any = None, version: Any = "3.12.0", **members: bytes) -> Path:
    """A .keras archive; ``members`` are further files, or replace those that it has."""
    files = {
        "metadata.json": json.dumps({"keras_version": version, "date_saved": "2026-01-01@00:00:00"}).encode(),
        "config.json": json.dumps(config or plain_model()).encode(),
        "model.weights.h5": b"\x89HDF\r\n\x1a\n" + bytes(64),
    }
    files |= {name.replace("__", "."): data for name, data in members.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_h5(path: Path, config: Any = None, version: Any = "2.13.1", **attributes: Any) -> Path:
    """A whole model as HDF5."""
    import h5py

    with h5py.File(path, "w") as file:
        wanted = {"keras_version": version, "model_config": json.dumps(config or plain_model()), **attributes}
        for name, value in wanted.items():
            if value is not None:
                file.attrs[name] = value
        weights = file.create_group("model_weights/dense/dense")
        weights.create_dataset("kernel:0", data=[[1.0, 2.0, 3.0]])
        weights.create_dataset("bias:0", data=[0.0, 0.0, 0.0])
    return path
