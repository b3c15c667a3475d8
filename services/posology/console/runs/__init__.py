"""Runs: what goes on, live; what they were asked; starting and stopping them."""
