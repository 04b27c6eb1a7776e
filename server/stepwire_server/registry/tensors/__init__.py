"""Bundles as models of named tensors."""
