"""From weights to evidence, and from evidence to a signed verdict."""
