"""What users need for each call of the Training service; docs/kubernetes.md explains the parts."""

from posology.core.rpc.rights import Rule, table
from posology.v1alpha1 import training_pb2

RIGHTS = table(
    training_pb2.DESCRIPTOR.services_by_name["Training"].full_name,
    {
        "PlanTraining": Rule("create", field="parent"),
        "InspectModel": Rule("create", field="parent"),
        "CreateBaseModel": Rule("create", "jobs", field="parent"),
        "GetBaseModel": Rule("get", "jobs"),
        "WatchBaseModel": Rule("watch", "jobs"),
        "CancelBaseModel": Rule("update", "jobs"),
        "CreateTrainingJob": Rule("create", "jobs", field="parent"),
        "MergeAdapter": Rule("create", "jobs", field="parent"),
        "GetTrainingJob": Rule("get", "jobs"),
        "ListTrainingJobs": Rule("list", "jobs", field="parent"),
        "WatchTrainingJob": Rule("watch", "jobs"),
        "CancelTrainingJob": Rule("update", "jobs"),
    },
)
