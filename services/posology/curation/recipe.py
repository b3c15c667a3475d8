"""What was asked for, as plain values: the domain's side of `CurationSpec`. Defaults live in the contract alone."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Source:
    """A file or folder and the format of its files."""

    uri: str
    format: str  # a name in sources.FORMATS
    homeopathic: bool = False  # read homeopathic products too


class Style(StrEnum):
    """How the embedded teacher answers."""

    SENTENCES = "SENTENCES"  # whole sentences of the label
    OPEN_BOOK = "OPEN_BOOK"  # an excerpt in the prompt, "The answer is X."
    MIXED = "MIXED"  # both


@dataclass(frozen=True)
class Budget:
    """The most that a job may use, 0 = no limit; prices in the account's currency per million tokens, 0 = unknown."""

    max_tokens: int = 0
    max_cost: float = 0.0
    prompt_price: float = 0.0
    completion_price: float = 0.0


@dataclass(frozen=True)
class TeacherRecipe:
    """Who writes questions and answers; without a model endpoint it is the embedded extractive teacher."""

    endpoint: str  # name of a model endpoint of the installation
    model: str
    style: Style
    question_types: tuple[str, ...]  # empty = all
    timeout: float  # seconds a call may take
    failure_budget: float  # share of items, 0 to 1
    audiences: tuple[str, ...] = ()  # who the pairs are written for; empty = nobody in particular
    conversations: float = 0.0  # share of the pairs that are follow-ups in a conversation, 0 to 1
    judge: str = ""  # model at the same endpoint that judges every pair; "" = none
    budget: Budget | None = None  # most tokens and cost; None = no limit


@dataclass(frozen=True)
class FilterRecipe:
    """What to drop."""

    min_words: int
    drop_refusals: bool
    drop_vague: bool
    require_clinical_terms: bool


@dataclass(frozen=True)
class DuplicateRecipe:
    """What counts as the same; 0 turns a similarity off."""

    exact: bool
    minhash: float
    semantic: float


@dataclass(frozen=True)
class GeneralRecipe:
    """General instructions, mixed in so that the model does not forget."""

    uri: str
    share: float


@dataclass(frozen=True)
class GeneralSetRecipe:
    """Everything that decides what a general set contains."""

    uri: str
    duplicates: DuplicateRecipe
    suites: tuple[str, ...] = ()  # uris of suite files that the set must not contain


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a data set contains."""

    sources: tuple[Source, ...]
    teacher: TeacherRecipe
    pairs: int
    validation: int
    filters: FilterRecipe
    duplicates: DuplicateRecipe
    seed: int
    general: GeneralRecipe | None = None
    behaviour: str = ""  # uri of few-shot examples for the teacher
    few_examples: bool = False  # fewer than 20 of them are accepted
    suites: tuple[str, ...] = ()  # uris of suite files that the data set must not contain
    corrections: str = ""  # uri of corrections to the rows of `base`
    base: str = ""  # digest of the data set that this one is a corrected version of; "" = made from sources


class Weak(StrEnum):
    """Where the rejected answer of a preference pair comes from."""

    EDITED_FACT = "EDITED_FACT"
    TEACHER = "TEACHER"


@dataclass(frozen=True)
class PreferenceRecipe:
    """Everything that decides what a preference set contains."""

    dataset: str  # digest
    pairs: int
    weak: Weak
    seed: int
    teacher: TeacherRecipe | None = None
    uri: str = ""  # of preferences that are there already; "" = made from the data set
    suites: tuple[str, ...] = ()  # uris of suite files that those must not contain
