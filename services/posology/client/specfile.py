"""A run's file: YAML in the shape of a Kubernetes resource -> a checked request."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from posology.core import schema
from posology.core.errors import InvalidInput, Violation
from posology.v1alpha1 import orchestrator_pb2

API_VERSION = "posology.dev/v1alpha1"
KIND = "FineTuneRun"
_PARAMETER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TOP = ("apiVersion", "kind", "metadata", "spec")
_PATHS = ("uri", "examples", "queries")
"""Fields that may hold a path relative to the file: `./labels`."""


@dataclass(frozen=True)
class RunFile:
    """What a run's file says."""

    name: str
    namespace: str
    spec: orchestrator_pb2.FineTuneRunSpec
    labels: Mapping[str, str] = field(default_factory=dict)

    def request(
        self, *, name: str = "", namespace: str = "", request_id: str = ""
    ) -> orchestrator_pb2.CreateRunRequest:
        """The request to submit it, under another name or namespace if given."""
        return orchestrator_pb2.CreateRunRequest(
            parent=f"namespaces/{namespace or self.namespace}",
            run_id=name or self.name,
            spec=self.spec,
            labels=self.labels,
            request_id=request_id,
        )


def load_run(path: Path, *, parameters: Mapping[str, str] | None = None) -> RunFile:
    """Read and check a run's file.

    `${name}` stands for a parameter; paths that start with `./` or `../` are taken from the file's folder. InvalidInput
    lists everything that is wrong, each with its path in the file.
    """
    try:
        text = path.read_text()
        document = yaml.safe_load(_fill(text, parameters or {}))
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InvalidInput(f"{path} is not YAML: {error}") from error
    return parse_run(_located(document, path.resolve().parent))


def parse_run(document: object) -> RunFile:
    """Check a run's document, as read from YAML or JSON."""
    if not isinstance(document, Mapping):
        raise InvalidInput(f"a run's file is a mapping with {', '.join(_TOP)}")
    wrong = list(_wrong_frame(document))
    try:
        spec = schema.parse(orchestrator_pb2.FineTuneRunSpec, document.get("spec") or {})
    except InvalidInput as error:
        raise InvalidInput.of([*wrong, *error.violations]) from None
    filled = orchestrator_pb2.FineTuneRunSpec()
    filled.CopyFrom(spec)
    schema.apply_defaults(filled)
    if wrong := [*wrong, *schema.violations(filled, at="spec")]:
        raise InvalidInput.of(wrong)
    metadata = document["metadata"]
    return RunFile(metadata["name"], metadata.get("namespace", "default"), spec, metadata.get("labels", {}))


def _wrong_frame(document: Mapping[str, Any]) -> list[Violation]:
    wrong = [
        Violation(str(key), f"unknown field; allowed are {', '.join(_TOP)}") for key in document if key not in _TOP
    ]
    for key, required in (("apiVersion", API_VERSION), ("kind", KIND)):
        if document.get(key) != required:
            wrong.append(Violation(key, f"must be {required}, not {document.get(key)!r}"))
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str):
        wrong.append(Violation("metadata.name", "must name the run"))
    return wrong


def _fill(text: str, parameters: Mapping[str, str]) -> str:
    parameters_of_file = dict.fromkeys(_PARAMETER.findall(text))
    missing = [name for name in parameters_of_file if name not in parameters]
    unknown = [name for name in parameters if name not in parameters_of_file]
    if missing or unknown:
        raise InvalidInput.of(
            [Violation(name, f"is a parameter of this file; give it with --set {name}=...") for name in missing]
            + [
                Violation(name, f"is no parameter of this file; it has {', '.join(parameters_of_file) or 'none'}")
                for name in unknown
            ]
        )
    return _PARAMETER.sub(lambda match: parameters[match[1]], text)


def _located(value: Any, folder: Path, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {k: _located(v, folder, str(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_located(item, folder, key) for item in value]
    if isinstance(value, str) and key in _PATHS:
        return _absolute(value, folder)
    return value


def _absolute(value: str, folder: Path) -> str:
    path = value.removeprefix("file:")
    if path.startswith(("./", "../")):
        return f"file:{(folder / path).resolve()}"
    return f"file:{path}" if path.startswith("/") and not path.startswith("//") else value
