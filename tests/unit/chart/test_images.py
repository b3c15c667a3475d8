"""The list of images to mirror."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from charts.generate.images import images
from charts.generate.static import CHARTS

DEV, GPU = (CHARTS / "posology" / f"values-{name}.yaml" for name in ("dev", "gpu"))


def values(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(changes))
    return path


def test_a_development_installation_pulls_five() -> None:
    names = [name.partition(":")[0] for name in images(DEV)]
    assert names == ["posology/control", "posology/engine-cpu", "posology/evaluator", "posology/worker", "postgres"]


@pytest.mark.parametrize(
    ("change", "image"),
    [
        ({"workers": {"pools": {"a": {"image": "r/worker:cuda"}}}}, "r/worker:cuda"),
        ({"workers": {"pools": {"a": {"evaluatorImage": "r/evaluator:cuda"}}}}, "r/evaluator:cuda"),
        ({"engines": {"image": "r/vllm@sha256:" + "0" * 64}}, "r/vllm@sha256:" + "0" * 64),
        ({"postgresql": {"image": "r/postgres:17"}}, "r/postgres:17"),
        ({"images": {"registry": "r/mirror"}}, "r/mirror/posology/control:0.1.0"),
        ({"sample": {"enabled": True}, "images": {"worker": {"repository": "w", "tag": "x"}}}, "w:x"),
    ],
)
def test_an_image_is_listed_wherever_values_name_it(tmp_path: Path, change: dict[str, Any], image: str) -> None:
    assert image in images(DEV, values(tmp_path, **change))


def test_the_gpu_values_bring_images_with_cuda() -> None:
    assert {name for name in images(DEV, GPU) if "cuda" in name or "gpu" in name or "vllm/" in name} == {
        "posology/worker:0.1.0-cuda",
        "posology/evaluator-gpu:0.1.0",
        "vllm/vllm-openai:v0.32.0",
    }
