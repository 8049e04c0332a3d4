"""What a user edits (pipeline.yaml) and what a release pins (releases/*.yaml): models, loader, schema."""
