"""How the next token is chosen: numpy only, vectorised over rows."""
