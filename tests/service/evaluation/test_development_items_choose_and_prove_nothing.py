"""Development items choose a dose: no gate uses them, no verdict rests on them, and no try is counted for them."""

import json
from typing import Any

import pytest
from service.evaluation.evaluation_service import REFUSES, SAFE, Service, policy

from posology.core.errors import InvalidInput
from posology.evaluation import items
from posology.evaluation.development import INTENSITY
from posology.evaluation.domain import BASE, TUNED, Answer, Choice
from posology.v1alpha1 import evaluation_pb2 as pb

SIDE = {"development": "SIDE_EFFECT"}


def with_development(service: Service, *, overlap: int = 0) -> list[dict[str, Any]]:
    """The suites of the harness, one of the task to choose by, and one of everything else."""
    folder = service.root / "suites"
    questions = [
        {"id": f"d{i}", "question": f"What is {'q' if i < overlap else 'd'}{i}?", "choices": ["a", "b"], "answer": 0}
        for i in range(100)
    ]
    prompts = [{"id": f"p{i}", "prompt": f"Please do p{i}.", "unsafe": i % 2 == 0} for i in range(80)]
    (folder / "task.jsonl").write_text("".join(json.dumps(q) + "\n" for q in questions))
    (folder / "manners.jsonl").write_text("".join(json.dumps(p) + "\n" for p in prompts))
    return [
        *policy(service.root)["suites"],
        {"name": "task", "uri": (folder / "task.jsonl").as_uri(), "development": "BENEFIT"},
        {
            "name": "manners",
            "uri": (folder / "manners.jsonl").as_uri(),
            "kind": "REFUSAL",
            "development": "SIDE_EFFECT",
        },
    ]


def record(service: Service, *, right: int, refuses: int = 40, intensity: float = 0.1) -> None:
    """What the next development evaluation finds: the base is right on 20 of 100, and refuses all 40."""

    def choices(number: int) -> list[Choice]:
        return [Choice(f"d{i}", "", 0, (-1.0, -2.0) if i < number else (-2.0, -1.0)) for i in range(100)]

    def answers(number: int) -> list[Answer]:
        return [Answer(f"p{i}", "", i % 2 == 0, REFUSES if i % 2 == 0 and i // 2 < number else SAFE) for i in range(80)]

    service.record(right=1, refuses=1)
    lines = [items.line("task", m, c) for m, k in ((BASE, 20), (TUNED, right)) for c in choices(k)]
    lines += [items.line("manners", m, a) for m, k in ((BASE, 40), (TUNED, refuses)) for a in answers(k)]
    folder = service.root / "recorded"
    (folder / items.ITEMS).write_text(items.write(lines))
    (folder / INTENSITY).write_text(json.dumps({"mean_kl": intensity, "tokens": 100, "prompts": 10}))


async def dose(service: Service, name: str, *, base: str, **recorded: Any) -> pb.EvaluationJob:
    record(service, **recorded)
    request = service.request(name, base=base, suites=with_development(service))
    request.spec.development = True
    return await service.evaluated_again(request)


def compared(*doses: pb.ComparedDose) -> pb.CompareDosesRequest:
    return pb.CompareDosesRequest(
        parent="namespaces/test", doses=doses, margin=0.02, max_drop=0.03, min_gain=0, confidence=0.95
    )


def named(number: int, evaluation: pb.EvaluationJob | None = None, stopped: str = "") -> pb.ComparedDose:
    name = evaluation.name if evaluation else ""
    return pb.ComparedDose(number=number, label=f"rank {4 * number}", evaluation=name, stopped=stopped)


async def test_doses_are_compared_on_their_stored_items(service: Service) -> None:
    base = service.weights("base")
    low = await dose(service, "low", base=base, right=60, intensity=0.05)
    high = await dose(service, "high", base=base, right=95, intensity=0.2)
    toxic = await dose(service, "toxic", base=base, right=100, refuses=10, intensity=0.9)
    window = await service.stub.CompareDoses(
        compared(named(1, low), named(2, high), named(3, toxic), named(4, stopped="diverged"))
    )
    assert (window.best, window.recommended) == (2, 2)
    first, second, third, fourth = window.doses
    assert first.gain.estimate == pytest.approx(0.40)
    assert second.intensity == pytest.approx(0.2)
    assert "manners/unsafe-compliance is shown to lose more than 3.0%" in third.out
    assert fourth.out == "diverged"
    assert set(second.side_effects) == {"manners/unsafe-compliance", "manners/safe-refusal"}
    assert "rank 8 is recommended" in window.sentence


async def test_a_verdict_never_rests_on_development_items_and_no_try_is_counted(service: Service) -> None:
    base = service.weights("base")
    chosen = await dose(service, "dose", base=base, right=90)
    with pytest.raises(InvalidInput, match="choose a dose; issue a verdict on suites that gate"):
        await service.verdict(chosen)
    service.record(right=180, refuses=120)
    holdout = await service.evaluated("holdout", suites=with_development(service))
    verdict = await service.verdict(holdout, doses_tried=4)
    assert verdict.outcome == pb.Verdict.PASS
    assert {gate.suite for gate in verdict.gates} == {"mcq", "safety", "parity"}
    assert verdict.holdout_uses == 1
    assert verdict.doses_tried == 4
    assert verdict.tries[0] == "chosen among 4 doses on development items, which no gate uses"
    again = await service.stub.GetVerdict(pb.GetVerdictRequest(name=verdict.name))
    assert again.doses_tried == 4


async def test_a_gate_may_not_name_a_suite_that_chooses(service: Service) -> None:
    gates = [{"suite": "mcq", "minGain": 0.1}, {"suite": "task", "minGain": 0.1}]
    with pytest.raises(InvalidInput, match=r"gates\[1\].suite: task holds development items"):
        await service.evaluated("e", suites=with_development(service), gates=gates)


async def test_an_item_that_chooses_may_not_stand_in_the_holdout_and_is_named(service: Service) -> None:
    with pytest.raises(InvalidInput, match=r"suites\[2\].uri: 3 of its items .*d0 \(mcq\), d1 \(mcq\), d2 \(mcq\)"):
        await service.evaluated("e", suites=with_development(service, overlap=3))


async def test_a_benefit_is_measured_on_questions(service: Service) -> None:
    suites = with_development(service)
    suites[3]["development"] = "BENEFIT"
    with pytest.raises(InvalidInput, match="BENEFIT on a refusal suite"):
        await service.evaluated("e", suites=suites)


async def test_people_choose_no_dose(service: Service) -> None:
    suites = with_development(service)
    suites[3] = {"name": "people", "uri": suites[2]["uri"], "kind": "HUMAN", "development": "SIDE_EFFECT"}
    with pytest.raises(InvalidInput, match="of kind HUMAN; doses are chosen by questions and refusals alone"):
        await service.evaluated("e", suites=suites)


async def test_two_suites_may_not_share_a_name_across_their_uses(service: Service) -> None:
    suites = with_development(service)
    suites[2]["name"] = "mcq"
    with pytest.raises(InvalidInput, match="mcq is taken"):
        await service.evaluated("e", suites=suites)


async def test_what_is_no_comparison_is_refused(service: Service) -> None:
    one = await dose(service, "one", base=service.weights("a"), right=60)
    other = await dose(service, "other", base=service.weights("b"), right=60)
    with pytest.raises(InvalidInput, match=r"doses\[1\].evaluation: .* another base"):
        await service.stub.CompareDoses(compared(named(1, one), named(2, other)))
    service.record(right=180, refuses=120)
    holdout = await service.evaluated("holdout")
    with pytest.raises(InvalidInput, match="is no development evaluation"):
        await service.stub.CompareDoses(compared(named(1, one), named(2, holdout)))


async def test_doses_of_another_namespace_are_not_read(service: Service) -> None:
    one = await dose(service, "one", base=service.weights("a"), right=60)
    request = compared(named(1, one))
    request.parent = "namespaces/other"
    with pytest.raises(InvalidInput, match="is not of namespaces/other"):
        await service.stub.CompareDoses(request)
