"""Public benchmarks in the form in which people download them, one file of code a form."""

from posology.evaluation.benchmarks.reading import Published, read

__all__ = ["Published", "read"]
