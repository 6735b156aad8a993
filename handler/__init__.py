"""What runs in the cloud: a model's predictions over HTTP, with the standard library alone."""

VERSION = "0.1.0"
"""This release, as pyproject.toml has it; the image carries no pyproject.toml."""
