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
TABLES = {"core.jobs": "core.jobs.service", "curation": "curation.review"}
"""Where a package keeps its tables, if not beside its migrations."""


@pytest.mark.parametrize("service", PACKAGES)
async def test_migrations_and_tables_agree(service: str, database: Database) -> None:
    packages = PACKAGES[service]
    await database.migrate(*(f"posology.{name}" for name in packages))
    modules = [importlib.import_module(f"posology.{TABLES.get(name, name)}.tables") for name in packages]
    assert await database.drift(*(module.metadata for module in modules)) == []
