"""Models of other tools: converted to a SavedModel, then quantized like any other."""
