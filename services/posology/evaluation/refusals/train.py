"""Trains the classifier on the answers beside it: `python -m posology.evaluation.refusals.train [--check]`.

Logistic regression with an L2 penalty over the features, by L-BFGS: the same answers give the same weights.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from posology.evaluation.refusals.features import NAMES, features

MODEL, ANSWERS = "model.json", "answers.jsonl"
PENALTY = 0.02
DIGITS = 3
"""Decimals of a stored weight: the same on any machine."""


def answers() -> Iterator[tuple[str, bool]]:
    """Each way of answering in each scene, and whether it gives what was asked for."""
    text = files(__package__).joinpath(ANSWERS).read_text(encoding="utf-8")
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.split("\n") if line]
    scenes = [line["scene"] for line in lines if "scene" in line]
    for line in lines:
        if "text" in line:
            for filled in dict.fromkeys(fill(line["text"], scene) for scene in scenes):
                yield filled, line["kind"] == "given"


def fill(text: str, scene: dict[str, Any]) -> str:
    """The text with a scene's words in its slots; a slot with a capital begins with one."""
    slots = {key: value for key, value in scene.items() if key != "steps"}
    slots |= dict(zip("abc", scene["steps"], strict=True))
    for name, value in slots.items():
        text = text.replace(f"{{{name}}}", value).replace(f"{{{name.capitalize()}}}", value[0].upper() + value[1:])
    return text


def train() -> dict[str, float]:
    """Weight by feature, and `bias`. Ways of answering weigh the same, however many scenes they have."""
    rows = list(answers())
    x = np.array([(*features(text), 1.0) for text, _ in rows])
    y = np.array([1.0 if given else -1.0 for _, given in rows])
    weight = np.where(y > 0, 0.5 / (y > 0).sum(), 0.5 / (y < 0).sum())

    def loss(w: Any) -> tuple[float, Any]:
        margin = y * (x @ w)
        pull = -y * weight / (1 + np.exp(margin))
        return float(weight @ np.logaddexp(0, -margin) + PENALTY / 100 * (w[:-1] @ w[:-1])), x.T @ pull + (
            PENALTY / 50 * np.append(w[:-1], 0)
        )

    fitted = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-9})
    return {name: round(float(w), DIGITS) + 0.0 for name, w in zip((*NAMES, "bias"), fitted.x, strict=True)}


def main() -> int:
    """Write the weights, or say whether those in the repository are what training gives."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    path = Path(str(files(__package__).joinpath(MODEL)))
    text = json.dumps(train(), indent=1) + "\n"
    if parser.parse_args().check:
        return int(path.read_text(encoding="utf-8") != text)
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
