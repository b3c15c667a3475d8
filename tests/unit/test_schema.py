"""What a user writes becomes a spec, or one error that says everything that is wrong."""

import pytest
import yaml

from posology.core import schema
from posology.core.errors import InvalidInput
from posology.v1alpha1 import orchestrator_pb2, training_pb2

MINIMAL = """
baseModel: {uri: "file:models/base"}
curation:
  sources: [{uri: "file:labels", format: SPL}]
evaluation:
  suites: [{name: mcq, uri: "file:mcq.jsonl"}]
  gates: [{suite: mcq, atLeast: 0.5}]
"""


def spec(text: str) -> orchestrator_pb2.FineTuneRunSpec:
    return schema.parse(orchestrator_pb2.FineTuneRunSpec, yaml.safe_load(text))


def wrong(text: str) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        spec(text)
    return {v.field: v.description for v in caught.value.violations}


def test_every_misspelt_key_is_named_with_its_path_and_the_nearest_valid_one() -> None:
    found = wrong(MINIMAL + "training: {sft: {rnak: 8, learningrate: 0.1}}\nservng: {}")
    assert found == {
        "spec.training.sft.rnak": "unknown field; did you mean rank?",
        "spec.training.sft.learningrate": "unknown field; did you mean learningRate?",
        "spec.servng": "unknown field; did you mean serving?",
    }


def test_a_wrong_enum_value_lists_the_allowed_ones() -> None:
    found = wrong(MINIMAL + "training: {sft: {method: QLORRA}}")
    assert found["spec.training.sft.method"] == "'QLORRA' is not one of FULL, LORA, QLORA; did you mean QLORA?"


def test_a_rate_that_yaml_reads_as_text_says_how_to_write_it() -> None:
    found = wrong(MINIMAL + "training: {sft: {learningRate: 2e-4}}")
    assert found["spec.training.sft.learningRate"] == "must be a number, not '2e-4'; write 0.0002"


def test_a_list_where_a_mapping_belongs_is_said_plainly() -> None:
    assert "must be a mapping" in wrong(MINIMAL + "training: [sft]")["spec.training"]
    assert "must be a list" in wrong("curation: {sources: {uri: x}}")["spec.curation.sources"]


def test_defaults_are_the_usual_recipe_and_are_written_out() -> None:
    message = spec(MINIMAL)
    schema.apply_defaults(message)
    sft = message.training.sft
    assert (sft.method, sft.rank, sft.learning_rate) == (training_pb2.SftConfig.QLORA, 16, 2e-4)
    assert not sft.HasField("alpha")  # it follows the rank, also of a dose, unless somebody says it
    assert list(sft.target_modules) == ["q_proj", "k_proj", "v_proj", "o_proj"]
    assert message.curation.deduplicate.semantic == pytest.approx(0.92)
    assert message.evaluation.confidence == pytest.approx(0.95)


def test_an_explicit_zero_stays_zero() -> None:
    message = spec(MINIMAL + "training: {sft: {dropout: 0, warmup: 0.0}}")
    schema.apply_defaults(message)
    assert message.training.sft.dropout == 0
    assert message.training.sft.HasField("dropout")


def test_what_asks_for_work_stays_absent_when_left_out() -> None:
    message = spec(MINIMAL)
    schema.apply_defaults(message)
    assert not message.training.HasField("dpo")
    assert not message.HasField("serving")
    assert not message.curation.HasField("review")


def test_defaults_applied_twice_change_nothing() -> None:
    once = spec(MINIMAL + "serving: {canary: {}}")
    schema.apply_defaults(once)
    twice = orchestrator_pb2.FineTuneRunSpec.FromString(once.SerializeToString())
    schema.apply_defaults(twice)
    assert once == twice
    assert list(once.serving.canary.steps) == [5, 25, 100]


def test_constraints_name_every_field_by_its_written_path() -> None:
    message = spec(MINIMAL + "training: {sft: {rank: 0, dropout: 1.5}}")
    found = {v.field for v in schema.violations(message, at="spec")}
    assert found == {"spec.training.sft.rank", "spec.training.sft.dropout"}


def test_the_mapping_of_a_message_parses_to_the_same_message() -> None:
    message = spec(MINIMAL)
    schema.apply_defaults(message)
    assert schema.parse(orchestrator_pb2.FineTuneRunSpec, schema.to_mapping(message)) == message
