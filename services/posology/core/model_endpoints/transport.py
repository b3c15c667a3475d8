"""HTTP that connects to checked addresses only.

The host is resolved here, every address of it is judged, and the connection is made to one of those very addresses:
what a name server says between check and connection (rebinding) changes nothing. TLS still proves the host's name.
Where the operator's environment sets a proxy (HTTPS_PROXY), the proxy resolves and decides; only what is written is
judged then. Redirects are the client's matter, and httpx follows none unless told to.
"""

from collections.abc import Iterator
from urllib.request import getproxies_environment, proxy_bypass

import httpx

from posology.core.errors import PermissionDenied, PosologyError
from posology.core.model_endpoints.addresses import Resolve, checked, host_wrong, resolved

_MOST_BYTES = 16 << 20
"""Of one answer; a longer one is cut as broken, since it must fit into memory."""


class CheckedTransport(httpx.BaseTransport):
    """Connects to public addresses, or with `allow_private` to any but those of metadata services."""

    def __init__(
        self,
        *,
        allow_private: bool,
        resolve: Resolve = resolved,
        inner: httpx.BaseTransport | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._direct = inner or httpx.HTTPTransport()
        self._proxied: dict[str, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """PermissionDenied where the address is refused; httpx's errors else."""
        host = request.url.host
        request.headers["accept-encoding"] = "identity"  # a small answer can unpack to a large one
        if proxy := _proxy_for(request.url):
            if reason := host_wrong(host, allow_private=self._allow_private):
                raise PermissionDenied(f"its address {reason}")
            return _bounded(self._through(proxy).handle_request(request))
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        try:
            addresses = checked(host, port, allow_private=self._allow_private, resolve=self._resolve)
        except PermissionDenied:
            raise
        except PosologyError as error:
            raise httpx.ConnectError(error.message, request=request) from error
        return _bounded(self._connected(request, addresses))

    def _connected(self, request: httpx.Request, addresses: list[str]) -> httpx.Response:
        """The answer of the first address that lets itself be connected to; nothing was sent to those before it."""
        failure: Exception | None = None
        for address in addresses:
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,  # holds the Host that the client wrote
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": request.url.host},
            )
            try:
                return self._direct.handle_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        assert failure is not None  # `checked` gives at least one address
        raise failure

    def _through(self, proxy: str) -> httpx.HTTPTransport:
        if proxy not in self._proxied:
            self._proxied[proxy] = httpx.HTTPTransport(proxy=proxy)
        return self._proxied[proxy]

    def close(self) -> None:
        """Close all connections."""
        self._direct.close()
        for transport in self._proxied.values():
            transport.close()


def _proxy_for(url: httpx.URL) -> str:
    proxies = getproxies_environment()
    proxy = proxies.get(url.scheme) or proxies.get("all") or ""
    if not proxy or proxy_bypass(url.host):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


class _Bounded(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for part in self._stream:
            size += len(part)
            if size > _MOST_BYTES:
                raise httpx.ReadError(f"an answer of more than {_MOST_BYTES >> 20} MiB")
            yield part

    def close(self) -> None:
        self._stream.close()


def _bounded(response: httpx.Response) -> httpx.Response:
    if response.headers.get("content-encoding", "identity").strip().casefold() not in ("", "identity"):
        response.close()
        raise httpx.RemoteProtocolError("a packed answer, which nobody asked for")
    assert isinstance(response.stream, httpx.SyncByteStream)
    response.stream = _Bounded(response.stream)
    return response
