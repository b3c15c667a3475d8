"""The typed Python client: the command line's verbs as methods."""

from posology.client.client import Client, is_job
from posology.client.installation import Installation
from posology.client.specfile import RunFile, load_run

__all__ = ["Client", "Installation", "RunFile", "is_job", "load_run"]
