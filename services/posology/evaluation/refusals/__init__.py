"""Refusals: whether an answer gives what was asked for, and how it declines where it does not."""

from posology.core.thoughts import unfinished_thought, without_thoughts
from posology.evaluation.domain import Refusal
from posology.evaluation.refusals.classes import classify
from posology.evaluation.refusals.classifier import CLASSIFIER, Content, content, probability

__all__ = [
    "CLASSIFIER",
    "Content",
    "Refusal",
    "classify",
    "content",
    "probability",
    "unfinished_thought",
    "without_thoughts",
]
