"""What users need for each call of the Catalog service; docs/kubernetes.md explains the parts."""

from posology.core.rpc.rights import SERVICES_ONLY, Rule, table
from posology.v1alpha1 import catalog_pb2

RIGHTS = table(
    catalog_pb2.DESCRIPTOR.services_by_name["Catalog"].full_name,
    {
        "CreateArtifact": SERVICES_ONLY,  # people push bytes: a digest alone would list what is another namespace's
        "GetArtifact": Rule("get", "artifacts"),
        "ListArtifacts": Rule("list", "artifacts", field="parent"),
        "TraceArtifact": Rule("get", "artifacts"),
        "PinArtifact": Rule("update", "artifacts"),
        "UnpinArtifact": Rule("update", "artifacts"),
        "QuarantineArtifact": Rule("update", "artifacts"),
        "FindWithdrawals": SERVICES_ONLY,
        "CreateWithdrawal": Rule("create", "withdrawals", field="parent"),
        "GetDenyList": SERVICES_ONLY,
        "CollectGarbage": Rule("delete", "artifacts", field="parent"),
        "GetArtifactManifest": Rule("get", "artifacts"),
        "ReadArtifactFile": Rule("get", "artifacts"),
        "UploadArtifact": Rule("create", "artifacts", field="parent"),
    },
)
