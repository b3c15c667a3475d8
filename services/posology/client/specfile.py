"""A run's file: YAML in the shape of a Kubernetes resource -> a checked request."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from posology.client import yaml_text
from posology.core import doses, schema
from posology.core.errors import InvalidInput, Violation
from posology.v1alpha1 import orchestrator_pb2

API_VERSION = "posology.dev/v1alpha1"
KIND = "FineTuneRun"
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
NAME_RULE = "lower-case letters, digits and -, first a letter, last no -, at most 63 characters"
_METADATA = ("name", "namespace", "labels", "annotations")
_TOP = ("apiVersion", "kind", "metadata", "spec")
_NO_MAPPING = f"a run's file is a mapping with {', '.join(_TOP)}"
_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*$")
_PATHS = ("uri", "examples", "queries")
"""Fields that may hold a path relative to the file: `./labels`."""


@dataclass(frozen=True)
class RunFile:
    """What a run's file says."""

    name: str
    namespace: str
    spec: orchestrator_pb2.FineTuneRunSpec
    labels: Mapping[str, str] = field(default_factory=dict)
    document: yaml_text.Document | None = None
    """Where in the file each value stands; None for a run that came from no file."""
    origin: str = ""
    written: Mapping[str, str] = field(default_factory=dict)
    """Absolute locations -> as they stand in the file."""

    def at_lines(self, error: InvalidInput) -> InvalidInput:
        """What a service has against this run, with the lines of its file."""
        return error if self.document is None else at_lines(error, self.document, self.origin, self.written)

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
    origin = str(path)
    text, values = _text_of(path), parameters or {}
    _check_parameters(text, values)
    document = yaml_text.read(text, origin, values)
    if not isinstance(document.value, Mapping):
        raise InvalidInput(f"{origin}:{document.lines.get('', 1)}: {_NO_MAPPING}")
    written: dict[str, str] = {}
    try:
        run = parse_run(_located(document.value, path.resolve().parent, written))
    except InvalidInput as error:
        raise at_lines(error, document, origin, written) from None
    return replace(run, document=document, origin=origin, written=written)


def at_lines(
    error: InvalidInput, document: yaml_text.Document, origin: str, written: Mapping[str, str]
) -> InvalidInput:
    """The error with file and line before each path, and locations as the user wrote them."""
    if not error.violations:
        return InvalidInput(_as_written(error.message, written))
    explained = tuple(_schemeless(violation, document.value) for violation in error.violations)
    placed = yaml_text.located(explained, document, origin)
    return InvalidInput.of([replace(v, description=_as_written(v.description, written)) for v in placed])


def _schemeless(violation: Violation, document: object) -> Violation:
    """Of a location that has no scheme, also whether it is a path that lies nowhere: what a slip of the hand makes."""
    if not violation.description.startswith("uri must start with"):
        return violation
    holder: Any = document
    for name in re.findall(r"[^.\[\]]+", violation.field.removesuffix(".uri")):
        try:
            holder = holder[int(name) if isinstance(holder, list) else name]
        except (KeyError, IndexError, TypeError, ValueError):
            return violation
    uri = holder.get("uri") if isinstance(holder, Mapping) else None
    if not isinstance(uri, str) or not uri or "\0" in uri or "://" in uri:
        return violation
    lies = f"{uri} lies here; write ./{uri} or file:{Path(uri).resolve()}" if Path(uri).exists() else ""
    return replace(
        violation, description=f"{lies or f'there is no folder or file {uri} here'} ({violation.description})"
    )


def _as_written(text: str, written: Mapping[str, str]) -> str:
    for absolute, typed in sorted(written.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(absolute, typed).replace(absolute.removeprefix("file:"), typed)
    return text


def _text_of(path: Path) -> str:
    """InvalidInput for what is no file, too large, or no text."""
    try:
        if path.is_dir():
            raise InvalidInput(f"{path} is a folder; name the run's file in it")
        with path.open("rb") as file:
            content = file.read(yaml_text.LARGEST + 1)
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is no text in UTF-8; a run's file is YAML") from error
    except ValueError as error:  # a NUL in the name
        raise InvalidInput(f"{str(path)!r} is no name of a file") from error


def parse_run(document: object) -> RunFile:
    """Check a run's document, as read from YAML or JSON."""
    if not isinstance(document, Mapping):
        raise InvalidInput(_NO_MAPPING)
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
    if wrong := list(doses.violations(schema.to_mapping(filled))):
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
        wrong.append(Violation("metadata.name", f"must name the run: {NAME_RULE}"))
        return wrong
    if misfit := name_misfit(metadata["name"]):
        wrong.append(Violation("metadata.name", misfit))
    wrong += [
        Violation(f"metadata.{key}", f"unknown field; allowed are {', '.join(_METADATA)}")
        for key in metadata
        if key not in _METADATA
    ]
    namespace, labels = metadata.get("namespace", ""), metadata.get("labels", {})
    if not isinstance(namespace, str):
        wrong.append(Violation("metadata.namespace", f"must be a text, not {namespace!r}"))
    if not isinstance(labels, Mapping) or not all(isinstance(v, str) for v in labels.values()):
        wrong.append(Violation("metadata.labels", "must be a mapping of texts to texts; put numbers in quotes"))
    return wrong


def name_misfit(name: str) -> str:
    """Why this can't be the name of a run or a deployment, in words; empty if it can."""
    return "" if _NAME.fullmatch(name) else f"{name!r} is not a name: {NAME_RULE}"


def _check_parameters(text: str, parameters: Mapping[str, str]) -> None:
    """InvalidInput names every parameter that the file lacks, or that it has and nobody gave a value."""
    of_file = dict.fromkeys(yaml_text.PARAMETER.findall(text))
    needed = dict.fromkeys(yaml_text.PARAMETER.findall(_COMMENT.sub("", text)))
    missing = [name for name in needed if name not in parameters]
    unknown = [name for name in parameters if name not in of_file]
    if lines := [name for name, value in parameters.items() if not value.isprintable()]:
        raise InvalidInput.of([Violation(f"--set {name}", "must be one line of plain text") for name in lines])
    if missing or unknown:
        raise InvalidInput.of(
            [Violation(name, f"is a parameter of this file; give it with --set {name}=...") for name in missing]
            + [
                Violation(name, f"is no parameter of this file; it has {', '.join(of_file) or 'none'}")
                for name in unknown
            ]
        )


def _located(value: Any, folder: Path, written: dict[str, str], key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {k: _located(v, folder, written, str(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_located(item, folder, written, key) for item in value]
    if isinstance(value, str) and key in _PATHS:
        absolute = _absolute(value, folder)
        if absolute != value:
            written[absolute] = value
        return absolute
    return value


def _absolute(value: str, folder: Path) -> str:
    path = value.removeprefix("file:")
    if "\0" not in path and path.startswith(("./", "../")):
        return f"file:{(folder / path).resolve()}"
    if path.startswith("~/"):
        return f"file:{Path(path).expanduser().resolve()}"
    return f"file:{path}" if path.startswith("/") and not path.startswith("//") else value
