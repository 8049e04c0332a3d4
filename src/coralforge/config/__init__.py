"""The configuration: models, loader and schema of pipeline.yaml and releases/*.yaml."""
