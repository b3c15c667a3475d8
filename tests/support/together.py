"""Which tests stay together in one process where several run: those of a file, and those that share what is dear.

A folder of the pipeline trains its base model once, and there is one cluster.
"""

from pathlib import PurePosixPath

from xdist.scheduler import LoadFileScheduling

_CLUSTER, _PIPELINE = "tests/cluster", "tests/pipeline"


class Together(LoadFileScheduling):  # type: ignore[misc]
    """Hands out files, folders of the pipeline, and all tests of the cluster."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        if file.startswith(_CLUSTER):
            return _CLUSTER
        return str(PurePosixPath(file).parent) if file.startswith(_PIPELINE) else file
