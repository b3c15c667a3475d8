"""Runs as custom resources: what is applied is submitted, and every run, whatever its door, is a FineTuneRun.

A bridge, no more: the orchestrator's database is the truth. Everything here may be killed at any point and done again.
"""
