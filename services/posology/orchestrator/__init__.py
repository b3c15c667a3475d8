"""Drives each FineTuneRun through its stages: a small, lease-based, level-triggered controller."""
