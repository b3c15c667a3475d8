"""Definitions as documents: a file per endpoint, YAML that people write, in a folder that only operators reach.

Embedded it is `model-endpoints` in the data directory, on a cluster a ConfigMap made from the chart's `modelEndpoints`.
Files are read anew each time, so what an operator changes or removes counts for the next attempt.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from posology.core import schema
from posology.core.errors import FailedPrecondition, InvalidInput, PosologyError, Violation
from posology.core.files import write_atomically
from posology.core.model_endpoints.addresses import written_wrong
from posology.core.model_endpoints.domain import ModelBudget, ModelEndpoint
from posology.v1alpha1 import model_endpoint_pb2

log = logging.getLogger("posology.model_endpoints")

API_VERSION, KIND = "posology.dev/v1alpha1", "ModelEndpoint"
FOLDER = "model-endpoints"
"""Name of the folder in an installation's data directory."""
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_NAME_RULE = "must be 1 to 63 lower-case letters, digits and '-', a letter first"
HOW = (
    "an operator defines one with `posology endpoints add NAME --address URL --model MODEL --secret KEY`, or as "
    "modelEndpoints.NAME in the chart's values"
)


class Registry:
    """The endpoints of an installation."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """What is defined, well or not."""
        return sorted(path.stem for path in self._folder.glob("*.yaml") if _NAME.fullmatch(path.stem))

    def get(self, name: str) -> ModelEndpoint | None:
        """An endpoint; None where it is not defined, FailedPrecondition where its definition is wrong."""
        if not _NAME.fullmatch(name):
            return None
        try:
            text = (self._folder / f"{name}.yaml").read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise FailedPrecondition(f"the model endpoint {name} can't be read ({type(error).__name__})") from error
        try:
            endpoint = parse(text, origin=f"the model endpoint {name}")
        except InvalidInput as error:
            log.warning("a model endpoint is defined wrongly", extra={"endpoint": name, "reason": error.message})
            raise FailedPrecondition(f"the model endpoint {name} is defined wrongly; its operator sees why") from error
        if endpoint.name != name:
            raise FailedPrecondition(f"the model endpoint {name} is defined wrongly: its file names {endpoint.name}")
        return endpoint

    def secrets(self) -> frozenset[str]:
        """Secrets of endpoints; they open an endpoint's address and are sent nowhere else."""
        references = set()
        for name in self.names():
            try:
                endpoint = self.get(name)
            except PosologyError:
                continue
            if endpoint is not None and endpoint.credentials_secret:
                references.add(endpoint.credentials_secret)
        return frozenset(references)

    def for_namespace(self, namespace: str) -> list[ModelEndpoint]:
        """Those that specs of a namespace may name; one that is defined wrongly is left out, and logged."""
        endpoints = []
        for name in self.names():
            try:
                endpoint = self.get(name)
            except PosologyError:
                continue
            if endpoint is not None and endpoint.serves(namespace):
                endpoints.append(endpoint)
        return endpoints

    def resolve(self, name: str, namespace: str, model: str = "", *, at: str) -> tuple[ModelEndpoint, str]:
        """The endpoint that a spec names at the field `at`, and the model to ask there.

        InvalidInput says what is wrong, with what this namespace may use.
        """
        endpoint = self.get(name)
        if endpoint is None or not endpoint.serves(namespace):
            usable = ", ".join(one.name for one in self.for_namespace(namespace)) or "none"
            wrong = f"{name!r} is not defined" if endpoint is None else f"{name} is not for the namespace {namespace}"
            raise InvalidInput.of(
                [Violation(f"{at}.modelEndpoint", f"{wrong}; this namespace may use: {usable} ({HOW})")]
            )
        if model and model not in endpoint.models:
            raise InvalidInput.of(
                [Violation(f"{at}.model", f"{model} is no model of {name}, which has {', '.join(endpoint.models)}")]
            )
        return endpoint, model or endpoint.models[0]


def parse(text: str, *, origin: str) -> ModelEndpoint:
    """An endpoint from its YAML; InvalidInput with everything that is wrong."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        raise InvalidInput(f"{origin} is not YAML{line}") from None  # its words are not repeated: a key may be in them
    if not isinstance(document, Mapping):
        raise InvalidInput(f"{origin}: an endpoint is a mapping with apiVersion, kind, metadata and spec")
    wrong = [
        Violation(str(key), "is no field of a model endpoint")
        for key in document
        if key not in ("apiVersion", "kind", "metadata", "spec")
    ]
    if document.get("apiVersion") != API_VERSION:
        wrong.append(Violation("apiVersion", f"must be {API_VERSION}"))
    if document.get("kind") != KIND:
        wrong.append(Violation("kind", f"must be {KIND}"))
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        wrong.append(Violation("metadata.name", _NAME_RULE))
    if wrong:
        raise InvalidInput.of(wrong)
    return endpoint_of(str(name), document.get("spec") or {})


def named(name: str, spec: object) -> ModelEndpoint:
    """The endpoint of a name and a spec that people gave; InvalidInput lists everything that is wrong."""
    if not _NAME.fullmatch(name):
        raise InvalidInput.of([Violation("name", _NAME_RULE)])
    return endpoint_of(name, spec)


def host_and_port(address: str) -> tuple[str, int]:
    """Where an endpoint's address leads."""
    parts = urlsplit(address)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def endpoint_of(name: str, spec: object) -> ModelEndpoint:
    """The endpoint of a spec; InvalidInput lists everything that is wrong."""
    message = schema.parse(model_endpoint_pb2.ModelEndpointSpec, spec)
    wrong = schema.violations(message, at="spec")
    if message.address and (reason := written_wrong(message.address, allow_private=message.allow_private)):
        wrong.append(Violation("spec.address", reason))
    if wrong:
        raise InvalidInput.of(wrong)
    budget = message.budget
    return ModelEndpoint(
        name,
        message.address.rstrip("/"),
        tuple(message.models),
        message.credentials_secret,
        frozenset(message.namespaces),
        ModelBudget(budget.max_tokens, budget.max_cost, budget.prompt_price, budget.completion_price),
        message.allow_private,
    )


def text_of(endpoint: ModelEndpoint) -> str:
    """The YAML of an endpoint."""
    budget = {_camel(name): value for name, value in asdict(endpoint.budget).items() if value}
    spec: dict[str, Any] = {
        "address": endpoint.address,
        "models": list(endpoint.models),
        "credentialsSecret": endpoint.credentials_secret,
        "namespaces": sorted(endpoint.namespaces),
        "budget": budget,
        "allowPrivate": endpoint.allow_private,
    }
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": endpoint.name},
        "spec": {key: value for key, value in spec.items() if value},
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def write(folder: Path, endpoint: ModelEndpoint) -> Path:
    """Define an endpoint in a folder; the file is readable by its owner alone."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{endpoint.name}.yaml"
    write_atomically(path, text_of(endpoint), mode=0o600)
    return path


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
