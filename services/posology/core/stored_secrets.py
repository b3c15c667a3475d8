"""Where a secret that a spec names by reference is found: a file, or a variable of the environment."""

import os
import re
from pathlib import Path

from posology.core.errors import FailedPrecondition, InvalidInput


def secret(reference: str, *, folder: Path | None, kept: str = "") -> str:
    """The secret called `reference`: a file of that name in `folder`, else POSOLOGY_SECRET_<NAME>. `kept` says
    where people put secrets, if not into that folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", reference):
        raise InvalidInput(f"{reference!r} is not the name of a secret: letters, digits, '.', '_' and '-'")
    if folder is not None and (folder / reference).is_file():
        return (folder / reference).read_text().strip()
    variable = "POSOLOGY_SECRET_" + re.sub(r"[^A-Z0-9]", "_", reference.upper())
    if variable in os.environ:
        return os.environ[variable].strip()
    place = f"the file {folder / reference} or " if folder else ""
    place = f"{reference!r} of {kept}" if kept else f"{place}the variable {variable}"
    raise FailedPrecondition(f"there is no secret {reference!r}; put it into {place}")
