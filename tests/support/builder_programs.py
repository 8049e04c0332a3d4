"""The programs of images as modules: they run in the image, and belong to no package."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from tests.conftest import ROOT


def load(name: str, image: str = "builder") -> ModuleType:
    """``docker/IMAGE/NAME.py``; as in the image, it finds the others beside it."""
    if name in sys.modules:
        return sys.modules[name]
    folder = ROOT / "docker" / image
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
