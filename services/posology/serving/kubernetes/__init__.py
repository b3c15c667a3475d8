"""Engines on Kubernetes: one Deployment, Service and Secret per replica, made and owned by serving."""
