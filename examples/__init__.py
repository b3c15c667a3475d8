"""Posology's own sample material: labels of invented drugs, suites, general data, a base model for two cores."""
