"""How fast it is, against a naive server and against the ceilings; see README.md."""
