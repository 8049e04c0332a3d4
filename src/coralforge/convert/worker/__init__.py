"""The process that converts: onnx2tf and what it needs are imported here only.

Nothing of the engine is imported but errors, and what the worker of :mod:`coralforge.quantize` shares.
"""
