"""Inspection of models: where each operation runs, why, and what to change. As data, text, JSON and a page."""
