"""Every service's migrations build exactly the tables that its code uses, on both databases."""

import importlib

import pytest

from posology.core.store import Database

PACKAGES = {
    "catalog": ("core.audit", "catalog"),
    "curation": ("core.audit", "core.jobs", "curation"),
    "evaluation": ("core.audit", "core.jobs", "evaluation"),
    "gateway": ("core.audit", "gateway"),
    "orchestrator": ("core.audit", "orchestrator"),
    "serving": ("core.audit", "serving"),
    "training": ("core.audit", "core.jobs", "training"),
}


@pytest.mark.parametrize("service", PACKAGES)
async def test_migrations_and_tables_agree(service: str, database: Database) -> None:
    packages = [f"posology.{name}" for name in PACKAGES[service]]
    await database.migrate(*packages)
    assert await database.drift(*(importlib.import_module(f"{name}.tables").metadata for name in packages)) == []
