"""Jobs: long work as rows in the service's own database, done by worker processes.

`domain` says what a job is and when it is tried again, `exit_codes` and `environment` what both halves agree on.
`service.jobs.Jobs` is what a service holds (create, get, list, watch, cancel, run), `worker.runtime` is what a worker
process imports. Between them stand one reconcile loop (`service.reconciler`), one gRPC stream per attempt
(`service.servicer`, `worker.link`) and a launcher (`launchers.local`, `launchers.kubernetes`).

The tables' migrations stay beside this file: their version table is named after this package.
"""
