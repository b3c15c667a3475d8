"""Every migration leaves what older code reads and writes as it was: upgrades roll, and can be rolled back."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from support.servers import REPOSITORY

FOLDERS = sorted((REPOSITORY / "services").glob("**/migrations"))


def later_revisions() -> Iterator[tuple[Path, str]]:
    """All but the first of each folder: nothing older than those exists."""
    for folder in FOLDERS:
        for revision in scripts(folder).walk_revisions():
            if revision.down_revision is not None:
                yield folder, revision.revision


def scripts(folder: Path) -> ScriptDirectory:
    return ScriptDirectory(str(folder), version_locations=[str(folder / "versions")])


def statements(folder: Path, revision: str) -> list[str]:
    """What PostgreSQL would be told by this one migration."""
    script, told = scripts(folder), io.StringIO()
    before = script.get_revision(revision).down_revision
    assert isinstance(before, str)
    steps = script._upgrade_revs(revision, before)
    with EnvironmentContext(Config(), script, fn=lambda *_: steps, as_sql=True) as environment:
        environment.configure(dialect_name="postgresql", as_sql=True, output_buffer=told, literal_binds=True)
        environment.run_migrations()
    found = (re.sub(r"\s+", " ", re.sub(r"--.*", "", part)).strip() for part in told.getvalue().split(";"))
    return [part for part in found if part and "alembic_version" not in part and part not in ("BEGIN", "COMMIT")]


def harm(told: list[str]) -> list[str]:
    """The statements that code which does not know of them could stumble over."""
    made = {table for part in told for table in re.findall(r'^CREATE TABLE "?(\w+)', part)}
    return [part for part in told if not _is_harmless(part, made)]


def _is_harmless(part: str, made: set[str]) -> bool:
    if part.startswith("CREATE TABLE"):
        return True
    if index := re.match(r'CREATE (UNIQUE )?INDEX \S+ ON "?(\w+)', part):
        return not index[1] or index[2] in made
    if part.startswith("ALTER TABLE") and " ADD COLUMN " in part:
        return "NOT NULL" not in part or " DEFAULT " in part
    return False


def name(value: object) -> str:
    return str(value).rpartition("/posology/")[2]


def test_there_are_migrations_to_look_at() -> None:
    assert len(FOLDERS) >= 9


@pytest.mark.parametrize(
    ("folder", "revision"), list(later_revisions()), ids=lambda value: str(value).rpartition("/posology/")[2]
)
def test_a_migration_only_adds(folder: Path, revision: str) -> None:
    told = statements(folder, revision)
    assert told
    assert harm(told) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_all_revisions_of_a_folder_are_of_one_line(folder: Path) -> None:
    named = [revision.revision for revision in scripts(folder).walk_revisions()]
    assert len({re.fullmatch(r"([a-z]+)_\d{4}", name)[1] for name in named}) == 1  # type: ignore[index]


@pytest.mark.parametrize(
    "told",
    [
        "DROP TABLE thing",
        "ALTER TABLE thing DROP COLUMN name",
        "ALTER TABLE thing RENAME COLUMN name TO title",
        "ALTER TABLE thing ALTER COLUMN name SET NOT NULL",
        "ALTER TABLE thing ADD COLUMN name TEXT NOT NULL",
        "CREATE UNIQUE INDEX i ON thing (name)",
        "UPDATE thing SET name = 'x'",
    ],
)
def test_what_older_code_stumbles_over_is_noticed(told: str) -> None:
    assert harm([told]) == [told]
