"""The command line: every verb of the client, and `up` for an embedded installation."""
