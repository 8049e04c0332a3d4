"""One interpreter in a process of its own: it loads a model, then runs it as often as it is told, and says how long.

compare_interpreters.py starts it, with the Python that has the interpreter: this file imports nothing of the project.
``interpreter_worker.py KIND WHERE THREADS MODEL``; KIND is ``c`` (WHERE is a libtensorflowlite_c.so, or one and,
after a ``+``, a library with a delegate for it), or the package of a Python interpreter (WHERE is ``builtin``, or
``default`` for the delegates that it uses by itself).

Protocol, in JSON lines: first ``{"outputs": [...]}``, in hexadecimal, of one inference on fixed bytes; then for each
number N on standard input ``{"wall": [...], "processor": [...]}``, milliseconds of N inferences; or
``{"error": ...}``.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import sys
import time
from collections.abc import Iterator
from typing import Any


def noise(count: int) -> bytes:
    """The same bytes for every interpreter: the top bits of a linear congruential generator, seed 1."""
    state, out = 1, bytearray(count)
    for i in range(count):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        out[i] = state >> 16 & 0xFF
    return bytes(out)


class CInterpreter:
    """TensorFlow Lite by its C API, which is the same in all releases."""

    def __init__(self, where: str, threads: int, model: str) -> None:
        library, _, delegate = where.partition("+")
        self.api = api = ctypes.CDLL(library)
        for name in ("ModelCreateFromFile", "InterpreterOptionsCreate", "InterpreterCreate"):
            getattr(api, f"TfLite{name}").restype = ctypes.c_void_p
        for name in ("InterpreterGetInputTensor", "InterpreterGetOutputTensor", "TensorData"):
            getattr(api, f"TfLite{name}").restype = ctypes.c_void_p
        api.TfLiteTensorByteSize.restype = ctypes.c_size_t
        options = ctypes.c_void_p(api.TfLiteInterpreterOptionsCreate())
        api.TfLiteInterpreterOptionsSetNumThreads(options, threads)
        if delegate:
            created = ctypes.c_void_p(_delegate(delegate, threads))
            api.TfLiteInterpreterOptionsAddDelegate(options, created)
        loaded = ctypes.c_void_p(api.TfLiteModelCreateFromFile(model.encode()))
        self.handle = ctypes.c_void_p(api.TfLiteInterpreterCreate(loaded, options))
        if not self.handle or api.TfLiteInterpreterAllocateTensors(self.handle):
            raise RuntimeError(f"{library} does not take {model}")

    def _tensors(self, kind: str) -> Iterator[tuple[int, int]]:
        for i in range(getattr(self.api, f"TfLiteInterpreterGet{kind}TensorCount")(self.handle)):
            tensor = ctypes.c_void_p(getattr(self.api, f"TfLiteInterpreterGet{kind}Tensor")(self.handle, i))
            yield self.api.TfLiteTensorData(tensor), self.api.TfLiteTensorByteSize(tensor)

    def fill(self) -> None:
        for data, size in self._tensors("Input"):
            ctypes.memmove(data, noise(size), size)

    def invoke(self) -> None:
        if self.api.TfLiteInterpreterInvoke(self.handle):
            raise RuntimeError("Invoke failed")

    def outputs(self) -> list[bytes]:
        return [ctypes.string_at(data, size) for data, size in self._tensors("Output")]


def _delegate(library: str, threads: int) -> int:
    """A delegate by the interface of TensorFlow Lite's external delegates."""
    create = ctypes.CDLL(library).tflite_plugin_create_delegate
    create.restype = ctypes.c_void_p
    keys, values = (ctypes.c_char_p * 1)(b"num_threads"), (ctypes.c_char_p * 1)(str(threads).encode())
    made: int | None = create(keys, values, ctypes.c_size_t(1), None)
    if made is None:
        raise RuntimeError(f"{library} made no delegate")
    return made


class PythonInterpreter:
    """ai_edge_litert or tflite_runtime."""

    def __init__(self, package: str, mode: str, threads: int, model: str) -> None:
        module = importlib.import_module(f"{package}.interpreter")
        kinds = module.OpResolverType
        kind = kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES if mode == "builtin" else kinds.AUTO
        self.inner: Any = module.Interpreter(model, num_threads=threads, experimental_op_resolver_type=kind)
        self.inner.allocate_tensors()

    def invoke(self) -> None:
        self.inner.invoke()

    def fill(self) -> None:
        import numpy

        for detail in self.inner.get_input_details():
            values = numpy.empty(detail["shape"], detail["dtype"])
            values.reshape(-1).view(numpy.uint8)[:] = numpy.frombuffer(noise(values.nbytes), numpy.uint8)
            self.inner.set_tensor(detail["index"], values)

    def outputs(self) -> list[bytes]:
        return [self.inner.get_tensor(detail["index"]).tobytes() for detail in self.inner.get_output_details()]


def measure(interpreter: CInterpreter | PythonInterpreter, runs: int) -> dict[str, list[float]]:
    """Milliseconds of each inference, by the clock on the wall and in processor time of all threads."""
    wall, processor = [], []
    for _ in range(runs):
        start = time.perf_counter(), time.process_time()
        interpreter.invoke()
        end = time.perf_counter(), time.process_time()
        wall.append((end[0] - start[0]) * 1e3)
        processor.append((end[1] - start[1]) * 1e3)
    return {"wall": wall, "processor": processor}


def main() -> None:
    kind, where, threads, model = sys.argv[1:]
    count = int(threads)
    interpreter: CInterpreter | PythonInterpreter
    interpreter = CInterpreter(where, count, model) if kind == "c" else PythonInterpreter(kind, where, count, model)
    interpreter.fill()
    interpreter.invoke()
    print(json.dumps({"outputs": [output.hex() for output in interpreter.outputs()]}), flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(interpreter, int(line))), flush=True)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
