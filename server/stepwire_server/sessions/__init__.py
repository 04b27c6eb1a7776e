"""States that callers keep: sessions, their table, and the tokens that carry them away."""
