"""What users need for each call of the Gateway service; docs/kubernetes.md explains the parts."""

from posology.core.rpc.rights import Rule, table
from posology.v1alpha1 import gateway_pb2

RIGHTS = table(
    gateway_pb2.DESCRIPTOR.services_by_name["Gateway"].full_name,
    {
        "CreateApiKey": Rule("create", "keys", field="parent"),
        "ListApiKeys": Rule("list", "keys", field="parent"),
        "RevokeApiKey": Rule("delete", "keys"),
        "GetAnswer": Rule("get", "answers"),
        "EraseAnswer": Rule("delete", "answers"),
        "ListAnswers": Rule("list", "answers", field="parent"),
    },
)
