"""The launcher's Kubernetes sibling: one Job per attempt of a worker, watched, and found again by its name."""
