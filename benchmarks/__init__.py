"""Measurements of the whole engine and of its parts; README.md says how each is run."""
