"""A call that nobody decided about is closed to users; here every call of the contract is looked at."""

from collections.abc import Iterator
from importlib import import_module

import pytest
from google.protobuf.descriptor import MethodDescriptor

from posology.catalog.rights import RIGHTS as CATALOG
from posology.core.audit.servicer import RIGHTS as AUDIT
from posology.core.jobs.service.jobs import SERVICE_NAME as WORKER
from posology.core.rpc.access import RIGHTS as ACCESS
from posology.core.rpc.rights import EVERYBODY, SERVICES_ONLY, Table
from posology.curation.rights import RIGHTS as CURATION
from posology.evaluation.rights import RIGHTS as EVALUATION
from posology.gateway.rights import RIGHTS as GATEWAY
from posology.orchestrator.rights import RIGHTS as ORCHESTRATOR
from posology.serving.rights import RIGHTS as SERVING
from posology.training.rights import RIGHTS as TRAINING

FILES = (
    "access", "audit", "catalog", "curation", "evaluation", "gateway", "orchestrator", "serving", "training", "worker",
)  # fmt: skip
TABLES = (ACCESS, AUDIT, CATALOG, CURATION, EVALUATION, GATEWAY, ORCHESTRATOR, SERVING, TRAINING)
ALL: Table = {method: rule for table in TABLES for method, rule in table.items()}
VERBS = {
    "Get": {"get"},
    "List": {"list", "get"},
    "Watch": {"watch"},
    "Trace": {"get"},
    "Create": {"create"},
    "Cancel": {"update"},
    "Delete": {"delete"},
}


def calls() -> Iterator[tuple[str, MethodDescriptor]]:
    for file in FILES:
        contract = import_module(f"posology.v1alpha1.{file}_pb2").DESCRIPTOR
        for service in contract.services_by_name.values():
            if service.full_name != WORKER:  # attempts carry tokens of their own
                yield from ((f"{service.full_name}/{method.name}", method) for method in service.methods)


@pytest.mark.parametrize(("name", "method"), list(calls()))
def test_every_call_says_what_a_user_needs_for_it(name: str, method: MethodDescriptor) -> None:
    rule = ALL[name]
    if rule in (SERVICES_ONLY, EVERYBODY):
        return
    assert rule.field in method.input_type.fields_by_name, f"{name} has no {rule.field} that says where"
    assert rule.field == ("name" if "name" in method.input_type.fields_by_name else "parent")
    wanted = next((verbs for start, verbs in VERBS.items() if method.name.startswith(start)), None)
    assert wanted is None or rule.verb in wanted


def test_no_rule_is_for_a_call_that_does_not_exist() -> None:
    assert ALL.keys() == {name for name, _ in calls()}


def test_what_only_services_call_is_known() -> None:
    assert {name.rpartition("/")[2] for name, rule in ALL.items() if rule is SERVICES_ONLY} == {
        "WatchRoutes",
        "CreateArtifact",
        "FindWithdrawals",
        "GetDenyList",
        "ListFailedWeights",
    }


def test_everybody_asks_about_themselves_and_nothing_else() -> None:
    assert {name.rpartition("/")[2] for name, rule in ALL.items() if rule == EVERYBODY} == {"ListPermittedCalls"}


def test_deciding_and_reviewing_are_verbs_of_their_own() -> None:
    special = {name.rpartition("/")[2]: rule.verb for name, rule in ALL.items() if rule.verb in ("approve", "review")}
    assert special == {
        "DecideApproval": "approve",
        "NextReviewItem": "review",
        "SubmitReviewItem": "review",
        "AdjudicateReviewItem": "review",
        "ConfirmReview": "review",
        "ExportReviewItems": "review",
        "ImportReviewRatings": "review",
    }
