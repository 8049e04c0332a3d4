"""From bundles to a release that strangers can check: names, SBOM, provenance, digests, a signature."""
