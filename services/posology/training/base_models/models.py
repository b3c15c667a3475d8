"""What can be known of a model without loading it: from an artifact, an allowed folder, or the hub's config.json."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posology.core.artifacts import ArtifactStore
from posology.core.errors import InvalidInput, NotFound, Violation
from posology.training.base_models import architectures, folder, locations
from posology.training.base_models.hub_reader import HubReader
from posology.training.planning import shapes
from posology.training.planning.shapes import ModelShape

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class Known:
    """A model's shape, and whether its tokenizer carries a chat template (None: not looked at)."""

    shape: ModelShape
    architecture: str
    has_chat_template: bool | None


class Models:
    """Looks at models in the stores, in allowed folders and on the hub.

    `secret` gives the value of a credentialsSecret, None where this service cannot read it: on a cluster only the
    workers hold secrets.
    """

    def __init__(
        self,
        stores: Sequence[ArtifactStore],
        rules: locations.Rules,
        *,
        hub: str = "",
        secret: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._stores = stores
        self._rules = rules
        self._hub = (hub or HUB).rstrip("/")
        self._secret = secret

    async def look(
        self, uri: str, revision: str, *, credentials_secret: str = "", config_json: str = "", at: str = "base_model"
    ) -> Known:
        """The model of a BaseModelSpec; `config_json` stands in for one that cannot be read from here.

        InvalidInput for an architecture that cannot be trained and served, NeedsToken for a gated repository.
        """
        if config_json:
            config = _parsed(config_json, f"{at}.config_json")
            architectures.check(config, at=f"{at}.uri")
            return _from_config(config)
        match locations.parse(uri, revision, self._rules, at=at):
            case locations.LocalFolder() as source:
                return await asyncio.to_thread(_from_folder, source.path)
            case locations.Pushed() as source:
                return await self.artifact(source.digest)
            case locations.HubModel() as source:
                return await self._on_hub(source, credentials_secret, at=at)

    async def artifact(self, digest: str) -> Known:
        """The model of an artifact, from its config and the headers of its weight files."""
        return await asyncio.to_thread(self._artifact, digest)

    def kind(self, digest: str, *, field: str, kinds: Sequence[str]) -> None:
        """InvalidInput unless there is an artifact of one of these kinds. Blocking."""
        store = self._holding(digest)
        if store is None:
            raise InvalidInput.of([Violation(field, f"there is no artifact {digest}")])
        actual = store.manifest(digest).kind
        if actual not in kinds:
            raise InvalidInput.of([Violation(field, f"{digest} is a {actual}; wanted is one of {', '.join(kinds)}")])

    def _artifact(self, digest: str) -> Known:
        store = self._holding(digest)
        if store is None:
            raise NotFound(f"there is no artifact {digest}; import the model first")
        names = [file.path for file in store.manifest(digest).files]
        config = _read(store, digest, "config.json")
        headers = [_header(store, digest, name) for name in names if name.endswith(".safetensors")]
        template = "chat_template.jinja" in names or bool(
            "tokenizer_config.json" in names and _read(store, digest, "tokenizer_config.json").get("chat_template")
        )
        return Known(shapes.from_headers(config, headers), _architecture(config), template)

    def _holding(self, digest: str) -> ArtifactStore | None:
        return next((store for store in self._stores if store.exists(digest)), None)

    async def _on_hub(self, source: locations.HubModel, secret: str, *, at: str) -> Known:
        """From config.json, and where that is of an unknown family from the headers of the weight files."""
        token = self._secret(secret) if secret else None
        async with HubReader(self._hub, source, token=token, secret=secret, at=at) as hub:
            config = _parsed(await hub.text("config.json"), f"{at}.uri")
            architectures.check(config, at=f"{at}.uri")
            if str(config.get("model_type")) in shapes.KNOWN:
                return _from_config(config)
            return Known(shapes.from_headers(config, await hub.headers()), _architecture(config), None)


def _from_config(config: Mapping[str, Any]) -> Known:
    return Known(shapes.from_config(config), _architecture(config), None)


def _parsed(text: str, field: str) -> Mapping[str, Any]:
    """config.json as an object; the error names the field that it came by."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput.of([Violation(field, f"config.json is not JSON: {error}")]) from None
    if not isinstance(value, dict):
        raise InvalidInput.of([Violation(field, "config.json is not a JSON object")])
    return value


def _from_folder(path: Path) -> Known:
    config = folder.read_json(path / "config.json")
    architectures.check(config)
    return Known(
        shapes.from_headers(config, shapes.read_headers(path)), _architecture(config), folder.has_chat_template(path)
    )


def _architecture(config: Mapping[str, Any]) -> str:
    return str((config.get("architectures") or [config.get("model_type", "unknown")])[0])


def _read(store: ArtifactStore, digest: str, name: str) -> Mapping[str, Any]:
    with store.open(digest, name) as data:
        config: Mapping[str, Any] = json.load(data)
        return config


def _header(store: ArtifactStore, digest: str, name: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    with store.open(digest, name) as data:
        return shapes.header_of(data, name, size=store.manifest(digest).file(name).size)
