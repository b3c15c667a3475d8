"""How a worker's process ends: what the runtime exits with, and what supervision and launchers read from it."""

DONE, FAILED, SUPERSEDED = 0, 1, 3
"""The result was taken; the failure was taken; another attempt is the current one."""
UNDELIVERED_CODE = 75
"""EX_TEMPFAIL: the service stayed away; what the worker made is made again from its checkpoint."""
PEER_LOST_CODE = 76
"""A worker of several processes that lost one of them: what became of that one says why."""
STOPPED_CODE = 143
"""128 + SIGTERM: the worker saved its checkpoint because it was told to. Kueue asks for this code, too."""
