"""The release policy: what weights must have proven to be served, who says so, and whether a verdict shows it.

The same functions answer at submission (evaluation), before a release (serving), beside every engine (the agent,
offline) and for an auditor (`posology verify`).
"""
