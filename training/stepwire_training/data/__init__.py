"""The data sets, one per file, and what turns text into batches."""
