"""Curation: clinical documents in, a reviewed and content-addressed data set out."""
