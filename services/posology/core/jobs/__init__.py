"""Jobs: long work as rows in the service's own database, done by worker processes.

`domain` says what a job is and when it is tried again; `jobs.Jobs` is what a service holds (create, get,
list, watch, cancel, run); `worker` is what a worker process imports. Between them stand one reconcile loop
(`reconcile`), one gRPC stream per attempt (`servicer`, `link`) and a launcher (`launcher`, `local`).
"""
