"""Asking agents how busy their engines are."""

import logging
import ssl

import httpx

from posology.engine import Load

log = logging.getLogger("posology.serving")
_ANSWER_SECONDS = 5.0


class Loads:
    """Asks over HTTP, or HTTPS where agents show certificates."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, tls_name: str = "") -> None:
        """`tls` says which certificates count, and `tls_name` the name in them, if not that of the agent's address."""
        self._extensions = {"sni_hostname": tls_name} if tls and tls_name else {}
        self._client = httpx.AsyncClient(verify=tls or True, timeout=_ANSWER_SECONDS, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def of(self, url: str, token: str) -> Load | None:
        """What the engine behind the agent at `url` runs and lets wait; None where nobody says so."""
        headers = {"authorization": f"Bearer {token}"}
        try:
            answer = await self._client.get(f"{url}/load", headers=headers, extensions=self._extensions)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            log.debug("%s does not say how busy it is: %s", url, error)
            return None
        return Load(**answer.json())
