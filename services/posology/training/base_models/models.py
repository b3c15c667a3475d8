"""What can be known of a model without loading it: from an artifact, an allowed folder, or the hub's config.json."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from posology.core.artifacts import ArtifactStore
from posology.core.errors import InvalidInput, NotFound, Unavailable, Violation
from posology.training.base_models import folder, locations
from posology.training.planning import shapes
from posology.training.planning.shapes import ModelShape

HUB = "https://huggingface.co"
_HUB_SECONDS = 5.0


@dataclass(frozen=True)
class Known:
    """A model's shape, and whether its tokenizer carries a chat template (None: not looked at)."""

    shape: ModelShape
    architecture: str
    has_chat_template: bool | None


class Models:
    """Looks at models in the stores, in allowed folders and on the hub."""

    def __init__(self, stores: Sequence[ArtifactStore], rules: locations.Rules, *, hub: str = "") -> None:
        self._stores = stores
        self._rules = rules
        self._hub = (hub or HUB).rstrip("/")

    async def look(self, uri: str, revision: str, *, config_json: str = "", at: str = "base_model") -> Known:
        """The model of a BaseModelSpec; `config_json` stands in for one that cannot be read from here."""
        if config_json:
            return _from_config(json.loads(config_json))
        match locations.parse(uri, revision, self._rules, at=at):
            case locations.LocalFolder() as source:
                return await asyncio.to_thread(_from_folder, source.path)
            case locations.Pushed() as source:
                return await self.artifact(source.digest)
            case locations.HubModel() as source:
                return _from_config(await self._config(source))

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

    async def _config(self, source: locations.HubModel) -> Mapping[str, Any]:
        """config.json of an open model; a gated one needs config_json or an import."""
        url = f"{self._hub}/{source.repository}/resolve/{source.revision}/config.json"
        try:
            async with httpx.AsyncClient(timeout=_HUB_SECONDS, follow_redirects=True) as client:
                answer = await client.get(url)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"{url} cannot be read ({type(error).__name__}); give the text of config.json as config_json"
            ) from error
        if answer.status_code != httpx.codes.OK:
            raise NotFound(
                f"{url} answers {answer.status_code}; import the model with a token, or give the text of its "
                "config.json as config_json"
            )
        config: Mapping[str, Any] = answer.json()
        return config


def _from_config(config: Mapping[str, Any]) -> Known:
    return Known(shapes.from_config(config), _architecture(config), None)


def _from_folder(path: Path) -> Known:
    config = folder.read_json(path / "config.json")
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
