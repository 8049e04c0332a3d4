"""Puts a bundle together, describes, packs and smoke-tests it."""
