"""One run on one page: everything that was done and shown, in a file that needs nothing else.

`gather` asks the services, `render` writes the page; between them lies a `Report`, plain values.
"""

from posology.cli.report.domain import Report
from posology.cli.report.gathering import gather, lineage
from posology.cli.report.page import render

__all__ = ["Report", "gather", "lineage", "render"]
