"""Statistics that more than one service computes; each function names its source."""
