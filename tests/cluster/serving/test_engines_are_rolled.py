"""Whatever is rolled, and by whomever: eight clients that stream without end see neither a failed nor a cut answer."""

import pytest
from cluster.serving.world import DEPLOYMENTS, Open, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]
CLIENTS = 8


async def test_kubectl_rollout_restart_cuts_nothing(release: Open) -> None:
    async with release.deployed("restarted") as model:
        [before] = await release.world.pods()
        async with release.streaming(model, clients=CLIENTS) as answers:
            [engine] = await release.world.engines()
            change = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
            await release.world.kube.merge(DEPLOYMENTS, release.world.namespace, engine["metadata"]["name"], change)
            after = await eventually(lambda: release.only_another(before), within=120)
        assert answers.failures() == []
        assert len(answers.responses) > 2 * CLIENTS
        assert after["metadata"]["uid"] != before["metadata"]["uid"]


async def test_changed_values_roll_the_engines_that_run(release: Open) -> None:
    async with release.deployed("upgraded") as model:
        [before] = await release.world.pods()
        async with release.streaming(model, clients=CLIENTS) as answers:
            await release.world.install(args=["--max-num-seqs=64"])
            after = await eventually(lambda: release.only_another(before), within=120)
        assert answers.failures() == []
        assert after["spec"]["containers"][0]["command"][-1] == "--max-num-seqs=64"
        await release.world.install()
        await release.again()


async def test_new_weights_take_over_and_cut_nothing(release: Open) -> None:
    async with release.deployed("taken-over") as model:
        installation = release.world.installation
        new = installation.weights("newer")
        installation.verdict(new, seed="newer", modelName=model)
        async with release.streaming(model, clients=CLIENTS) as answers:
            await release.create("newer", new, model_name=model)
            await release.until("STOPPED", "taken-over")
        assert answers.failures() == []
        assert answers.responses[-1].headers["x-posology-model-digest"] == new
        await release.delete("newer")
