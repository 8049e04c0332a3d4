"""Reads .tflite files that may come from anywhere, and cuts them."""
