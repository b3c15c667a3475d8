"""On a cluster an engine that load asks for is a pod more, and goes as one that is rolled: without a cut answer."""

import pytest
from cluster.serving.world import Open, eventually

from posology.v1alpha1 import serving_pb2 as pb

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]
SPEC = pb.ServingSpec(
    model_name="busy", autoscaling=pb.Autoscaling(max_replicas=2, target_queue=2, scale_down_seconds=5)
)


async def test_a_pod_comes_with_the_queue_and_goes_after_it_and_nothing_is_cut(release: Open) -> None:
    await release.world.install(env={"STAND_IN_RUNS_AT_ONCE": "3"})
    await release.again()
    installation = release.world.installation
    model = installation.weights("busy")
    installation.verdict(model, seed="busy", modelName="busy")
    await release.service.create(model, name="busy", spec=SPEC)
    await release.until("READY", "busy")
    await eventually(lambda: release.answers("busy"))

    async def engines(number: int) -> bool:
        found = await release.service.get("busy")
        assert found.state == pb.Deployment.READY, found.reason
        return found.ready_replicas == found.wanted_replicas == len(await release.world.pods()) == number

    async with release.streaming("busy", clients=1) as few:
        async with release.streaming("busy", clients=7) as many:
            await eventually(lambda: engines(2), within=120)
        await eventually(lambda: engines(1), within=120)
    assert few.failures() == many.failures() == []
    assert len(await release.world.engines()) == 1
    await release.delete("busy")
    await release.world.install()
    await release.again()
