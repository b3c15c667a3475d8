"""Creating is repeatable; listing comes in pages."""

import asyncio

import pytest
from support.job_installation import Installation, named

from posology.core import errors
from posology.core.jobs.domain import State


async def test_a_repeated_request_id_gives_the_first_job(installation: Installation) -> None:
    jobs = installation.jobs()
    first = await jobs.create(named("a", steps=1, request_id="r1"))
    again = await jobs.create(named("b", steps=1, request_id="r1"))
    assert again == first


async def test_the_same_name_and_spec_gives_the_same_job(installation: Installation) -> None:
    jobs = installation.jobs()
    assert await jobs.create(named("a", steps=1)) == await jobs.create(named("a", steps=1))


async def test_a_name_that_means_something_else_is_refused(installation: Installation) -> None:
    jobs = installation.jobs()
    await jobs.create(named("a", steps=1))
    with pytest.raises(errors.AlreadyExists, match="evaluations/a exists already with another spec"):
        await jobs.create(named("a", steps=2))


async def test_a_request_id_is_not_used_for_two_specs(installation: Installation) -> None:
    jobs = installation.jobs()
    await jobs.create(named("a", steps=1, request_id="r1"))
    with pytest.raises(errors.AlreadyExists, match="request id r1"):
        await jobs.create(named("b", steps=2, request_id="r1"))


async def test_many_at_once_make_one_job(installation: Installation) -> None:
    one, two = installation.jobs(), installation.jobs()
    wanted = named("a", steps=1, request_id="r1")
    made = await asyncio.gather(*(jobs.create(wanted) for jobs in (one, two) for _ in range(10)))
    assert len({job.created_at for job in made}) == 1


async def test_a_job_is_undone_with_the_transaction_that_made_it(installation: Installation) -> None:
    jobs = installation.jobs()

    async def fail_halfway() -> None:
        async with installation.db.begin() as tx:
            await jobs.create(named("a", steps=1), tx=tx)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_halfway()
    with pytest.raises(errors.NotFound):
        await jobs.get("namespaces/test/evaluations/a")


@pytest.mark.parametrize("name", ["a", "namespaces/../x/y", "namespaces/test/x/..", "namespaces/A/x/y/z"])
async def test_names_that_could_leave_the_folder_are_refused(installation: Installation, name: str) -> None:
    with pytest.raises(errors.InvalidInput, match="must be namespaces"):
        await installation.jobs().create(type(named("a"))(name, "count", {}))


async def test_an_unknown_kind_is_refused(installation: Installation) -> None:
    with pytest.raises(errors.InvalidInput, match="none of count"):
        await installation.jobs().create(named("a", "dance"))


async def test_listing_gives_every_job_once_newest_first(installation: Installation) -> None:
    jobs = installation.jobs()
    for number in range(7):
        await jobs.create(named(f"n{number}", steps=1))
    names, token = [], ""
    while True:
        page = await jobs.list("test", kinds=["count"], states=[State.PENDING], page_size=3, page_token=token)
        names += [job.name.rpartition("/")[2] for job in page.jobs]
        if not (token := page.next_token):
            break
    assert names == [f"n{number}" for number in reversed(range(7))]


async def test_a_page_token_of_another_listing_is_refused(installation: Installation) -> None:
    jobs = installation.jobs()
    for number in range(3):
        await jobs.create(named(f"n{number}", steps=1))
    page = await jobs.list("test", page_size=1)
    with pytest.raises(errors.InvalidInput):
        await jobs.list("test", kinds=["count"], page_token=page.next_token)
