"""Rules and formats of the Edge TPU: which operators it takes, and what compiled models hold."""
