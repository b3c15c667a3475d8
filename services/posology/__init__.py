"""Posology: from a clinical corpus to a served, safety-gated, fine-tuned language model."""
