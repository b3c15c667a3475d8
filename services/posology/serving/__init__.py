"""Deploys weights that have a verifying PASS, and nothing else."""
