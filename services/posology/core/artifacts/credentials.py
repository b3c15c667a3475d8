"""Storage credentials by reference: settings and specs name where they are, never what they are."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posology.core.errors import InvalidInput


def resolve(reference: str) -> dict[str, Any]:
    """Storage options for fsspec from `env:NAME` or `file:PATH`, each a JSON object; "" means none.

    For S3: {"key": ..., "secret": ..., "endpoint_url": ...}. Without a reference the store's own
    default credentials apply (environment, instance role).
    """
    if not reference:
        return {}
    scheme, _, name = reference.partition(":")
    text = {"env": _from_environment, "file": _from_file}.get(scheme, _unknown)(name)
    try:
        options = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"the storage credentials at {reference} are not JSON") from error
    if not isinstance(options, dict):
        raise InvalidInput(f"the storage credentials at {reference} are not a JSON object")
    return options


_PLAIN = ("endpoint_url", "use_ssl", "config_kwargs", "s3_additional_kwargs", "requester_pays")


def without(options: Mapping[str, Any]) -> dict[str, Any]:
    """What S3 options say besides credentials: how to reach the store, and how to speak to it."""
    client = {name: value for name, value in options.get("client_kwargs", {}).items() if not name.startswith("aws_")}
    return {name: options[name] for name in _PLAIN if name in options} | ({"client_kwargs": client} if client else {})


def _from_environment(name: str) -> str:
    if name not in os.environ:
        raise InvalidInput(f"the environment variable {name}, which should hold storage credentials, is not set")
    return os.environ[name]


def _from_file(name: str) -> str:
    try:
        return Path(name).read_text()
    except OSError as error:
        raise InvalidInput(f"the storage credentials file {name} can't be read: {error.strerror}") from error


def _unknown(_name: str) -> str:
    # What was given is not repeated: it may be the secret itself.
    raise InvalidInput("storage credentials are given by reference, as env:NAME or file:PATH")
