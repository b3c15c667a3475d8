"""Data sets: what they hold, what was left out and why."""
