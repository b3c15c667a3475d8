"""Asking agents how busy their engines are."""

import logging

import httpx

from posology.engine import Load

log = logging.getLogger("posology.serving")
_ANSWER_SECONDS = 5.0


class Loads:
    """Asks over HTTP, or HTTPS where agents show certificates; `client` is one of http_tls."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def of(self, url: str, token: str) -> Load | None:
        """What the engine behind the agent at `url` runs and lets wait; None where nobody says so."""
        headers = {"authorization": f"Bearer {token}"}
        try:
            answer = await self._client.get(f"{url}/load", headers=headers, timeout=_ANSWER_SECONDS)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            log.debug("%s does not say how busy it is: %s", url, error)
            return None
        return Load(**answer.json())
