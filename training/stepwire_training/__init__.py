"""Offline training: recipes to published bundles."""
