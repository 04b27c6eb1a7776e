"""The generated contract; made by `make protos`, never edited."""
