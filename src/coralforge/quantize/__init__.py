"""Quantizes Keras models and SavedModels to full integers, in a process of its own."""
