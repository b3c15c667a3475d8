"""Expert review: blind samples, ratings, agreement, the exact bound and the signed statement. In the service."""
