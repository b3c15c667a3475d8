"""The volumes that the tool beside the checkout lends: it has twenty, and takes none back by itself."""

import shutil
from pathlib import Path

from support.clusters import STATE

from posology.core.kube import Kube, Resource

VOLUMES = Resource("v1", "persistentvolumes")
_LENT = STATE / "volumes"


async def recycle(kube: Kube, namespace: str) -> None:
    """Empty those that a namespace held, and let others have them."""
    async for volume in kube.every(VOLUMES, ""):
        path = Path(volume["spec"].get("hostPath", {}).get("path", "/"))
        theirs = volume["spec"].get("claimRef", {}).get("namespace") == namespace
        if theirs and path.parent == _LENT and volume["status"]["phase"] == "Released":
            _empty(path)
            await kube.merge(VOLUMES, "", volume["metadata"]["name"], {"spec": {"claimRef": None}})


def _empty(folder: Path) -> None:
    for found in folder.iterdir():
        shutil.rmtree(found) if found.is_dir() else found.unlink()
