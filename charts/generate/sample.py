"""The demo's spec as a resource, for a cluster that holds the sample in a volume (`sample.enabled`)."""

import re

_HEAD = """\
# Made by `make manifests` from examples/demo.yaml; do not edit. Needs `sample.enabled` (see docs/kubernetes.md).
# It has no reviews, so that it runs through by itself; where experts are to look, take over `review` from the demo.
"""
_FOLDER = "file:/data"


def run(spec: str) -> str:
    """The same spec without its comments' first lines and its reviews, with places of the sample's volume."""
    body = spec[spec.index("apiVersion:") :]
    body = re.sub(r"(?m)^ *review: .*\n", "", body)
    body = body.replace("./", f"{_FOLDER}/examples/").replace('"${base}"', f"{_FOLDER}/nano")
    return _HEAD + body.replace("name: demo", "name: sample").replace("modelName: demo", "modelName: sample")
