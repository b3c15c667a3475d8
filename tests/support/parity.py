"""Evidence of parity as a healthy evaluation leaves it."""

from posology.evaluation.domain import ExactCheck, ParityStep, PromptParity

EXACT = (ExactCheck("template", "sha256:1", "sha256:1"),)


def step(name: str = "merged = served", *, different: int = 0, control: int = 0, prompts: int = 256) -> ParityStep:
    """64 positions a prompt; `different` and `control` tokens of the first so many prompts differ, one each."""
    counted = tuple(PromptParity(64, int(i < different), 0, int(i < control), 0) for i in range(prompts))
    return ParityStep(name, 64 * prompts, 1 - different / (64 * prompts), 0.0, 0.0, counted, 0.0, 1.0)
