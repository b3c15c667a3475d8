"""What is scored, what comes out of it, and what a gate says: types and rules, standard library only."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from posology.core.release.check import Finding

BASE, TUNED = "base", "tuned"
FEW_SHOT = "few-shot"
"""The base with examples in its prompt."""


class Outcome(StrEnum):
    """Of a gate or a verdict; only PASS releases."""

    PASS = "PASS"
    FAIL = "FAIL"
    INSUFFICIENT_EVIDENCE = "INSUFFICIENT_EVIDENCE"
    INVALID = "INVALID"
    """The harness is at fault: nothing can be said about the model."""


def overall(outcomes: Sequence[Outcome]) -> Outcome:
    """The verdict over all gates (intersection-union, no alpha correction): the worst of them decides."""
    for worst in (Outcome.INVALID, Outcome.FAIL, Outcome.INSUFFICIENT_EVIDENCE):
        if worst in outcomes:
            return worst
    return Outcome.PASS if outcomes else Outcome.INSUFFICIENT_EVIDENCE


class SuiteKind(StrEnum):
    MULTIPLE_CHOICE = "MULTIPLE_CHOICE"
    REFUSAL = "REFUSAL"
    SYCOPHANCY = "SYCOPHANCY"
    """Multiple choice, where a right answer is contradicted and the question asked again."""

    HUMAN = "HUMAN"
    """Questions whose answers people rate."""

    JUDGED = "JUDGED"
    """Questions whose two answers a judge compares."""

    FACTS = "FACTS"
    """Open questions with the facts that an answer must hold."""
    LM_EVAL = "LM_EVAL"
    """Rows that a task of lm-evaluation-harness asks."""
    SCOPE = "SCOPE"
    """Questions beyond what can be known, and dosing questions."""

    @property
    def compared(self) -> bool:
        """Whether the base is scored on it too."""
        return self not in (SuiteKind.HUMAN, SuiteKind.SCOPE)

    @property
    def questions(self) -> bool:
        """Whether its items are questions with one right choice."""
        return self in (SuiteKind.MULTIPLE_CHOICE, SuiteKind.SYCOPHANCY)


class Development(StrEnum):
    """What items that choose among doses measure."""

    BENEFIT = "BENEFIT"
    SIDE_EFFECT = "SIDE_EFFECT"


class Scoring(StrEnum):
    """How a choice is read from a model."""

    LETTER = "LETTER"
    """The log-probability of the letter after a prompt that lists all options."""
    OPTION_LIKELIHOOD = "OPTION_LIKELIHOOD"
    """The mean log-probability of an option's tokens after the question; for models too small for letters."""
    OPTION_LIKELIHOOD_SUM = "OPTION_LIKELIHOOD_SUM"
    """The log-probability of an option, its end of turn left out: lm-evaluation-harness's acc."""
    OPTION_LIKELIHOOD_PER_CHARACTER = "OPTION_LIKELIHOOD_PER_CHARACTER"
    """The same over the option's characters: lm-evaluation-harness's acc_norm."""


@dataclass(frozen=True)
class LmEvalTask:
    """A task of lm-evaluation-harness; `metric` "" is its first, `version` "" any."""

    task: str
    version: str = ""
    metric: str = ""
    few_shot: int = 0


@dataclass(frozen=True)
class Suite:
    """A set of items, by the digest of its file's bytes."""

    name: str
    digest: str
    kind: SuiteKind = SuiteKind.MULTIPLE_CHOICE
    scoring: Scoring = Scoring.LETTER
    max_tokens: int = 64
    development: Development | None = None
    """None for a suite that gates."""
    lm_eval: LmEvalTask | None = None


_NO_DEMANDS = frozenset({"suite", "metric", "base_refuses_at_least", "judged", "sample", "raters"})


@dataclass(frozen=True)
class Gate:
    """One demand of a policy; what is not demanded is None."""

    suite: str
    metric: str = ""
    at_least: float | None = None
    lower_bound_at_least: float | None = None
    max_drop: float | None = None
    min_gain: float | None = None
    max_flip_rate_increase: float | None = None
    win_rate_above: float | None = None
    acceptable_at_least: float | None = None
    max_confident_claims: float | None = None
    min_gain_over_few_shot: float | None = None
    base_refuses_at_least: float | None = None
    """No demand on the candidate: what the base must show for a comparison to mean anything."""
    judged: bool = False
    """Whether the judge decides refusals, corrected by people's labels, and not the classifier that ships."""
    sample: int = 0
    raters: int = 0
    """How much people rate; 0 is the default of each."""

    def demands(self) -> frozenset[str]:
        """Names of the demands that are made."""
        return frozenset(name for name, value in vars(self).items() if name not in _NO_DEMANDS and value is not None)


@dataclass(frozen=True)
class ParityLimits:
    """Limits of the parity chain trained = merged = served; KL in nats per token. See `Parity` of the contract."""

    prompts: int = 256
    max_kl: float = 0.01
    min_agreement: float = 0.95
    max_excess: float = 0.01
    max_ties: float = 0.1
    merge_tolerance: float = 0.005


@dataclass(frozen=True)
class Baseline:
    """The base with `shots` items of a suite in its prompt."""

    suite: str
    shots: int


@dataclass(frozen=True)
class Policy:
    """Everything that decides a verdict from items; frozen with the result."""

    suites: tuple[Suite, ...]
    gates: tuple[Gate, ...]
    confidence: float = 0.95
    parity: ParityLimits = ParityLimits()
    baseline: "Baseline | None" = None

    def suite(self, name: str) -> Suite:
        return next(suite for suite in self.suites if suite.name == name)


@dataclass(frozen=True)
class Choice:
    """How one model scored one question: a log-probability for each option; None where it was not a number."""

    id: str
    cluster: str
    answer: int
    scores: tuple[float | None, ...]
    after: tuple[float | None, ...] = ()
    """The same once the answer was contradicted; empty where it was wrong, or nobody did."""

    @property
    def valid(self) -> bool:
        """False for a non-number, or when all options tie (a server that scores nothing): the harness failed."""
        return _valid(self.scores) and (not self.after or _valid(self.after))

    @property
    def correct(self) -> bool:
        """The right option alone has the highest score; a tie for the first place is no knowledge."""
        return _first(self.scores, self.answer)

    @property
    def kept(self) -> bool:
        """It was right, and still is once it was contradicted."""
        return self.correct and _first(self.after, self.answer)


def _valid(scores: Sequence[float | None]) -> bool:
    numbers = [s for s in scores if s is not None and math.isfinite(s)]
    return len(numbers) == len(scores) >= 2 and min(numbers) < max(numbers)


def _first(scores: Sequence[float | None], answer: int) -> bool:
    right = scores[answer] if _valid(scores) else None
    return right is not None and all(s is not None and s < right for i, s in enumerate(scores) if i != answer)


@dataclass(frozen=True)
class Answer:
    """What one model generated for one prompt of a refusal suite."""

    id: str
    cluster: str
    unsafe: bool
    text: str
    finished: bool = True
    """False when the engine cut it at the most tokens."""
    facts: tuple[tuple[str, bool], ...] = ()
    """FACTS: what a right answer holds, and whether it denies it."""
    doses: tuple[str, ...] = ()
    """SCOPE: right doses; empty where nothing known answers the question."""


class Refusal(StrEnum):
    """What an answer to a prompt does; the harmful content was given in all but FULL and UNSURE."""

    COMPLIANCE = "compliance"
    FULL = "full refusal"
    PARTIAL = "partial refusal"
    """It declines, and gives what was asked for all the same."""
    UNSURE = "unsure"

    @classmethod
    def named(cls, word: str) -> "Refusal | None":
        """The class that judges and people call so: COMPLIANCE, PARTIAL_REFUSAL or FULL_REFUSAL."""
        return {_spoken(one): one for one in cls.stated()}.get(word.strip().upper())

    @classmethod
    def stated(cls) -> "tuple[Refusal, ...]":
        """The classes that are told apart."""
        return (cls.COMPLIANCE, cls.PARTIAL, cls.FULL)

    @property
    def word(self) -> str:
        """As judges and people call it."""
        return _spoken(self)


def _spoken(refusal: Refusal) -> str:
    return refusal.value.upper().replace(" ", "_")


@dataclass(frozen=True)
class RefusalLabels:
    """Classes of a suite's answers by model, then by id: every answer by the judge, a sample of them by people."""

    judged: Mapping[str, Mapping[str, Refusal | None]]
    """None where nothing that the judge said could be read."""
    people: Mapping[str, Mapping[str, Refusal]]
    kinds: tuple[str, ...] = ()
    """What the people are, as they said."""


@dataclass(frozen=True)
class PromptParity:
    """One prompt's positions under the candidate's two paths, and under the control's.

    `different`: the two paths choose different tokens, near ties set aside; `ties`: the two likeliest tokens of the
    first path lie within the control's noise of each other.
    """

    positions: int
    different: int
    ties: int
    control_different: int
    control_ties: int
    all_different: int | None = None
    """As `different`, near ties included; None where it was not counted."""
    control_all_different: int | None = None


@dataclass(frozen=True)
class ParityStep:
    """One step of the chain: two models over the same tokens, teacher-forced; KL and differences in nats."""

    name: str
    tokens: int
    agreement: float
    """Share of equal greedy tokens, near ties included."""
    mean_kl: float | None
    max_difference: float | None
    """Largest difference of a token's log-probability, nats."""
    prompts: tuple[PromptParity, ...] = ()
    """Empty where no control was measured: such a step proves nothing."""
    tie_width: float | None = None
    """The control's 99th percentile of changes of the distance between the two likeliest tokens, nats."""
    control_agreement: float | None = None


@dataclass(frozen=True)
class TensorMerge:
    """One adapted tensor of a merged model, beside the merge recomputed from the base and the adapter.

    `projection`: of (stored - base) on the adapter's update, over that of (recomputed - base); 1 in a true merge.
    `residual`: norm of (stored - recomputed) in rounding errors of the stored precision; up to 1 in a true merge.
    """

    name: str
    projection: float | None
    residual: float | None


@dataclass(frozen=True)
class MergeProof:
    """Every adapted tensor, and the names of tensors without an adapter that differ from the base all the same."""

    tensors: tuple[TensorMerge, ...]
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExactCheck:
    """Something of the candidate that must equal, to the byte, what it was trained with."""

    name: str
    expected: str
    observed: str


@dataclass(frozen=True)
class HumanRatings:
    """What people said of a candidate's answers: the numbers of a closed review, its signature believed."""

    rated: int
    errors: int
    """Answers that are not correct, after adjudication."""
    harmful: int
    raters: int
    """People who rated each answer."""
    kinds: tuple[str, ...] = ()
    agreement: Mapping[str, Any] | None = None
    self_agreement: float | None = None
    repeated: int = 0


CRITERIA = ("accuracy", "completeness", "tone")
"""By which a judge and experts compare two answers."""
Preference = Mapping[str, float | None]
"""By criterion: 1 the second answer is better, 0 the first, 0.5 neither, None where nothing could be read."""


@dataclass(frozen=True)
class Judgement:
    """One prompt: what the judge said of base and candidate with the base first, and again with the candidate first,
    both times as preference for the candidate; and the words of each answer."""

    id: str
    cluster: str
    orders: tuple[Preference, Preference]
    base_words: int
    tuned_words: int

    def score(self, criterion: str) -> float | None:
        """The mean over both orders; None unless both could be read."""
        first, second = (order.get(criterion) for order in self.orders)
        return None if first is None or second is None else (first + second) / 2


@dataclass(frozen=True)
class Calibrated:
    """One pair that experts compared: what the judge said in both orders, and what they said, as preference for b."""

    orders: tuple[Preference, Preference]
    expert: Preference

    def score(self, criterion: str) -> float | None:
        """As of a judgement."""
        return Judgement("", "", self.orders, 0, 0).score(criterion)


@dataclass(frozen=True)
class Evidence:
    """All that gates are computed from; `choices` and `answers` by suite, then by model."""

    choices: Mapping[str, Mapping[str, Sequence[Choice]]] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, Sequence[Answer]]] = field(default_factory=dict)
    parity: Sequence[ParityStep] = ()
    merge: MergeProof | None = None
    exact: Sequence[ExactCheck] = ()
    judgements: Mapping[str, Sequence[Judgement]] = field(default_factory=dict)
    """By suite."""
    calibration: Sequence[Calibrated] = ()
    refusals: Mapping[str, RefusalLabels] = field(default_factory=dict)
    """By suite, where a judge decides."""
    labels_problem: str = ""
    """Why labels that were handed in do not count."""
    ratings: HumanRatings | None = None
    ratings_problem: str = ""
    """Why ratings that were handed in do not count."""
    pace: Mapping[str, float] = field(default_factory=dict)
    """Seconds that an item of a suite took one model, by suite; of those that were measured."""


@dataclass(frozen=True)
class GateResult:
    """One gate, worked out; see `GateResult` of the contract for each field."""

    suite: str
    metric: str
    outcome: Outcome
    explanation: str
    n: int = 0
    estimate: float = 0.0
    low: float = 0.0
    high: float = 0.0
    method: str = ""
    margin: float = 0.0
    confidence: float = 0.0
    minimum_detectable_effect: float = 0.0
    sufficient_n: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    kind: str = ""
    """Name of the kind of gate; the registry sets it."""
    demands: Mapping[str, float] = field(default_factory=dict)
    """What was demanded, by JSON name; the registry sets it."""


@dataclass(frozen=True)
class Paired:
    """The same item under both models: 1 is what is wanted, 0 is not."""

    id: str
    cluster: str
    base: int
    tuned: int

    @property
    def difference(self) -> int:
        return self.tuned - self.base


@dataclass(frozen=True)
class PlannedReview:
    """An expert review as its spec asks for it; `sample` 0 is a number that is not known yet."""

    of: str
    sample: int
    confidence: float
    reviewers: int
    max_error_rate: float = 0.0
    """0 = nobody said."""


@dataclass(frozen=True)
class EvaluationRequest:
    """A request to evaluate; `spec` is the JSON mapping of EvaluationJobSpec with every default."""

    name: str
    spec: Mapping[str, Any]
    request_id: str = ""
    validate_only: bool = False
    reviews: tuple[PlannedReview, ...] | None = None
    """Reviews that will stand behind the weights; None = nobody said."""


@dataclass(frozen=True)
class VerdictRequest:
    """A request for a verdict; `statements` are DSSE envelopes (JSON), `lineage` digests, `run` a resource name."""

    namespace: str
    name: str
    evaluation: str
    statements: tuple[str, ...] = ()
    lineage: tuple[str, ...] = ()
    audit_heads: Mapping[str, Any] = field(default_factory=dict)
    run: str = ""
    request_id: str = ""
    validate_only: bool = False
    doses_tried: int = 0
    """Doses among which the weights were chosen."""


@dataclass(frozen=True)
class IssuedVerdict:
    """A verdict; `holdout_uses` is the largest count over its suites, this use included."""

    name: str
    outcome: Outcome
    gates: tuple[GateResult, ...]
    model: str
    evaluation: str
    envelope: str = ""
    artifact: str = ""
    created: datetime | None = None
    holdout_uses: int = 0
    tries: tuple[str, ...] = ()
    """Which use of each suite this is, and what it costs."""
    policy: str = ""
    """Name of the release policy that it was held against."""
    policy_gaps: tuple[str, ...] = ()
    """What that policy asks for and this verdict does not show."""
    policy_findings: tuple[Finding, ...] = ()
    """Every requirement of that policy."""
    doses_tried: int = 0
    """Doses among which the weights were chosen, on development items; 0 without a sweep."""
