"""Scores a model and its base on a throw-away engine; started by the service, imported by nobody. Holds no key."""
