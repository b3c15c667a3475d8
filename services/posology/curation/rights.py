"""What users need for each call of the Curation service; docs/kubernetes.md explains the parts."""

from posology.core.rpc.rights import Rule, table
from posology.v1alpha1 import curation_pb2

RIGHTS = table(
    curation_pb2.DESCRIPTOR.services_by_name["Curation"].full_name,
    {
        "CreateDataset": Rule("create", "jobs", field="parent"),
        "GetDataset": Rule("get", "jobs"),
        "ListDatasets": Rule("list", "jobs", field="parent"),
        "WatchDataset": Rule("watch", "jobs"),
        "CancelDataset": Rule("update", "jobs"),
        "CreateGeneralSet": Rule("create", "jobs", field="parent"),
        "GetGeneralSet": Rule("get", "jobs"),
        "WatchGeneralSet": Rule("watch", "jobs"),
        "CancelGeneralSet": Rule("update", "jobs"),
        "CreatePreferenceSet": Rule("create", "jobs", field="parent"),
        "GetPreferenceSet": Rule("get", "jobs"),
        "WatchPreferenceSet": Rule("watch", "jobs"),
        "CancelPreferenceSet": Rule("update", "jobs"),
        "CreateReview": Rule("create", "reviews", field="parent"),
        "GetReview": Rule("get", "reviews"),
        "ListReviews": Rule("list", "reviews", field="parent"),
        "NextReviewItem": Rule("review", "reviews"),
        "SubmitReviewItem": Rule("review", "reviews"),
        "AdjudicateReviewItem": Rule("review", "reviews"),
        "ExportReviewItems": Rule("review", "reviews"),
        "ImportReviewRatings": Rule("review", "reviews"),
        "ListReviewCorrections": Rule("get", "reviews"),
        "ConfirmReview": Rule("review", "reviews"),
        "CancelReview": Rule("update", "reviews"),
        "CreateFeedback": Rule("create", "feedback", field="parent"),
        "ListFeedback": Rule("list", "feedback", field="parent"),
        "CreateFeedbackReview": Rule("create", "answers", field="parent"),  # shows users' questions to reviewers
        "ListModelEndpoints": Rule("list", "jobs", field="parent"),
    },
)
