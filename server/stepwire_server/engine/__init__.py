"""Runs the graphs: step by step for generators, batch by batch for whole sequences."""
