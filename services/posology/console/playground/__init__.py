"""Asking a deployed model, with what stands behind its answer."""
