"""Bundles on boards of the user's: what a board is, the copy, the switch, and the way back."""
