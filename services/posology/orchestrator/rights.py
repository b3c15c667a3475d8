"""What users need for each call of the Orchestrator service; docs/kubernetes.md explains the parts."""

from posology.core.rpc.rights import Rule, table
from posology.v1alpha1 import orchestrator_pb2

RIGHTS = table(
    orchestrator_pb2.DESCRIPTOR.services_by_name["Orchestrator"].full_name,
    {
        "CreateRun": Rule("create", field="parent"),
        "GetRun": Rule("get"),
        "ListRuns": Rule("list", field="parent"),
        "WatchRun": Rule("watch"),
        "CancelRun": Rule("update"),
        "DecideApproval": Rule("approve"),
    },
)
