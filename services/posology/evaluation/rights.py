"""What users need for each call of the Evaluation service; docs/kubernetes.md explains the parts."""

from posology.core.rpc.rights import SERVICES_ONLY, Rule, table
from posology.v1alpha1 import evaluation_pb2

RIGHTS = table(
    evaluation_pb2.DESCRIPTOR.services_by_name["Evaluation"].full_name,
    {
        "CreateEvaluation": Rule("create", "jobs", field="parent"),
        "GetEvaluation": Rule("get", "jobs"),
        "ListEvaluations": Rule("list", "jobs", field="parent"),
        "WatchEvaluation": Rule("watch", "jobs"),
        "CancelEvaluation": Rule("update", "jobs"),
        "ListEvaluationItems": Rule("get", "jobs"),
        "CompareDoses": Rule("list", "jobs", field="parent"),
        "IssueVerdict": Rule("create", "verdicts", field="parent", not_artifacts=("audit_heads", "audit_chains")),
        "ListFailures": Rule("list", "verdicts", field="parent"),
        "ListFailedWeights": SERVICES_ONLY,
        "GetVerdict": Rule("get", "verdicts"),
        "ListVerdicts": Rule("list", "verdicts", field="parent"),
    },
)
