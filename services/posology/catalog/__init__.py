"""The index of artifacts: what exists, what it was made from, who holds it. The bytes are in the object store."""
