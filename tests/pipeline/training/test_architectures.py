"""The architectures that are taken by name are those that both libraries know."""

import pytest
from support.training_bench import REPOSITORY, python

from posology.training.base_models.architectures import BOTH

pytestmark = pytest.mark.slow


def test_the_list_of_architectures_is_that_of_both_libraries() -> None:
    registry = REPOSITORY / ".venv/engine-cpu/lib/python3.11/site-packages/vllm/model_executor/models/registry.py"
    if not registry.exists():
        pytest.skip("no engine environment in .venv/engine-cpu")
    assert set(python("architecture_list.py", str(registry)).stdout.split()) == BOTH
