"""Protobuf <-> domain; the only place of curation that knows both."""

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from posology.core.schema import apply_defaults
from posology.v1alpha1 import curation_pb2 as pb

from . import recipe as r


def dataset_spec(stored: Mapping[str, Any]) -> pb.DatasetSpec:
    """A stored spec as its message; defaults were written at admission."""
    return json_format.ParseDict(dict(stored), pb.DatasetSpec())


def preference_spec(stored: Mapping[str, Any]) -> pb.PreferenceSetSpec:
    """A stored spec as its message."""
    return json_format.ParseDict(dict(stored), pb.PreferenceSetSpec())


def stored_spec(spec: pb.DatasetSpec | pb.PreferenceSetSpec) -> dict[str, Any]:
    """JSON of a spec with every default written out, as jobs keep it."""
    made: dict[str, Any] = json_format.MessageToDict(spec)
    return made


def recipe_of(spec: pb.DatasetSpec) -> r.Recipe:
    """What the worker is to make. Defaults must have been applied."""
    curation = spec.curation
    return r.Recipe(
        sources=tuple(r.Source(s.uri, pb.Source.Format.Name(s.format)) for s in curation.sources),
        teacher=teacher_of(curation.teacher),
        pairs=curation.pairs,
        validation=curation.validation,
        filters=r.FilterRecipe(
            min_words=curation.filters.min_words,
            drop_refusals=curation.filters.drop_refusals,
            drop_vague=curation.filters.drop_vague,
            require_clinical_terms=curation.filters.require_clinical_terms,
        ),
        duplicates=r.DuplicateRecipe(
            curation.deduplicate.exact, curation.deduplicate.minhash, curation.deduplicate.semantic
        ),
        seed=curation.seed,
        general=r.GeneralRecipe(curation.general.uri, curation.general.share) if curation.HasField("general") else None,
        behaviour=curation.behaviour.examples if curation.HasField("behaviour") else "",
        suites=tuple(spec.suite_uris),
    )


def teacher_of(teacher: pb.Teacher) -> r.TeacherRecipe:
    """A teacher with its defaults."""
    filled = pb.Teacher()
    filled.CopyFrom(teacher)
    apply_defaults(filled)
    return r.TeacherRecipe(
        endpoint=filled.endpoint,
        model=filled.model,
        secret=filled.credentials_secret,
        style=r.Style(pb.Teacher.Style.Name(filled.style)),
        question_types=tuple(filled.question_types),
        timeout=float(filled.timeout_seconds),
        failure_budget=filled.failure_budget,
    )


def preferences_of(spec: pb.PreferenceSetSpec) -> r.PreferenceRecipe:
    """What a preference set is to hold. Defaults must have been applied."""
    return r.PreferenceRecipe(
        dataset=spec.dataset,
        pairs=spec.preferences.pairs,
        weak=r.Weak(pb.Preferences.WeakAnswers.Name(spec.preferences.weak_answers)),
        seed=spec.seed,
        teacher=teacher_of(spec.teacher) if spec.HasField("teacher") else None,
    )
