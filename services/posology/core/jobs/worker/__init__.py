"""The worker's half of jobs: what a handler is given, and how its process speaks to the service. In workers only."""
