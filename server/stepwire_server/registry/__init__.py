"""Bundles become models: loaded, proved, and found by name."""
