"""Where sources come from: fetch, verify, unpack, identify."""
