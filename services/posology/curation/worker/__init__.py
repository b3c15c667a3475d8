"""Curation's worker: the only place of this service where heavy libraries are imported. Started, never imported."""
