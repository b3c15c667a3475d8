"""Intervals, tests and sample sizes behind the gates; pure functions, each with its source."""
