"""References made from the sources: what RPCs and settings there are, in the words that stand beside them."""
