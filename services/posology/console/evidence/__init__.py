"""Evidence: verdicts and why, lineage to walk, search, recall and withdrawal."""
