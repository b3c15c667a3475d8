"""Base models: where they may come from, what is known of them unseen, and which files make one. In the service."""
