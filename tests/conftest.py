"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real labels and suites, where this checkout has one beside it."""
    found = Path(os.environ.get("POSOLOGY_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not found.is_dir():
        pytest.skip(f"no real data at {found}; set POSOLOGY_TEST_DATA to a folder of labels")
    return found
