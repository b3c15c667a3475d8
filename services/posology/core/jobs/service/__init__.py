"""The service's half of jobs: rows, the reconcile loop, and the stream that workers call. Never in a worker."""
