"""The Open Inference Protocol as Python: generated, never edited."""
