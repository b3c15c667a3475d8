"""What training would take and what its curves say, from shapes alone: no weights, no GPU. In the service."""
