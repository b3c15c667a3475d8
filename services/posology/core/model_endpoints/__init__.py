"""Where a secret and an address meet: endpoints of teachers and judges, which an operator defines and specs only name.

`document` reads the definitions, `addresses` says which addresses are refused, `transport` connects to checked ones
only, `meter` and `ledger` count what all runs use.
"""
