"""What users need for each call of the Serving service; docs/kubernetes.md explains the parts."""

from posology.core.rpc.rights import SERVICES_ONLY, Rule, table
from posology.v1alpha1 import serving_pb2

RIGHTS = table(
    serving_pb2.DESCRIPTOR.services_by_name["Serving"].full_name,
    {
        "CreateDeployment": Rule("create", "deployments", field="parent"),
        "GetDeployment": Rule("get", "deployments"),
        "ListDeployments": Rule("list", "deployments", field="parent"),
        "WatchDeployment": Rule("watch", "deployments"),
        "DeleteDeployment": Rule("delete", "deployments"),
        "PromoteDeployment": Rule("update", "deployments"),
        "RollBackDeployment": Rule("update", "deployments"),
        "WatchRoutes": SERVICES_ONLY,  # it carries the tokens of engines
    },
)
