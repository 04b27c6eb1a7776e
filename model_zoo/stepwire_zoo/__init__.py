"""Reads and writes bundles: the published folders of the model zoo. Needs numpy alone."""
