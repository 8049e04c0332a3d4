"""Compiles models: with Google's compiler for hardware, or for the simulated libedgetpu."""
