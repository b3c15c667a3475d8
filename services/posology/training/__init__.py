"""Training: from a data set to an adapter or a model, with a plan before and a signed provenance after."""
