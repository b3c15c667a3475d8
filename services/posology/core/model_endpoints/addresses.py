"""Which addresses an endpoint may have: judged as they are written, and again as they resolve when one is connected to.

Names are not trusted to mean tomorrow what they mean today, so the check of a name is made at each connection, on the
very address that is then connected to (`transport`).
"""

import re
import socket
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from posology.core.errors import PermissionDenied, Unavailable

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], list[str]]
"""(host, port) -> addresses, best first; OSError where the name means nothing."""

# Where clouds keep the credentials of machines and pods. No model answers there, whatever an operator allows.
_METADATA = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, GCP, Azure, OpenStack, DigitalOcean
            "169.254.170.2",  # credentials of ECS tasks
            "169.254.170.23",  # credentials of EKS pods
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure's wire server, a public address
            "192.0.0.192",  # Oracle
        ),
    )
)
_METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
_NAT64 = ip_network("64:ff9b::/96")  # the last 32 bits are IPv4
# Ranges of IANA's registries that not every version of `ipaddress` counts as private.
_SPECIAL = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "100::/64", "2001:20::/28")))
_COMPATIBLE = ip_network("::/96")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")


def written_wrong(address: str, *, allow_private: bool) -> str:
    """What is wrong with an endpoint's address as it is written; "" if nothing is."""
    if re.search(r"[\s\\\x00-\x20\x7f]", address) or not address.isascii():
        return "must be a plain URL without spaces, backslashes and letters beyond ASCII (write such a host as xn--...)"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return "is not a URL; write it like https://api.example.org/v1"
    if parts.scheme not in ("https", "http"):
        return "must start with https://"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or a password; the key is a secret of its own (credentialsSecret)"
    if parts.query or parts.fragment or "?" in address or "#" in address:
        return "must not have a query or a fragment: a secret there would be shown to everybody"
    if not parts.hostname or port == 0:
        return "names no host and port; write it like https://api.example.org/v1"
    if parts.scheme == "http" and not allow_private:
        return "must start with https://, since http:// shows key and corpus on the way (allowed with allowPrivate)"
    return host_wrong(parts.hostname, allow_private=allow_private)


def host_wrong(host: str, *, allow_private: bool) -> str:
    """What is wrong with a host as it is written, before it is resolved; "" if nothing is."""
    plain = host.casefold().rstrip(".")
    if ":" in plain:
        if "%" in plain:
            return "must not name an interface (%) in an address"
        try:
            return refused(ip_address(plain), allow_private=allow_private)
        except ValueError:
            return "has a host that is no IPv6 address"
    if not _HOST.fullmatch(plain):
        return "has a host that is neither a name nor an address"
    if plain in _METADATA_NAMES:
        return "is that of a metadata service, where machines keep their credentials"
    if _NUMBER.fullmatch(plain.rpartition(".")[2]):  # resolvers read 127.1, 0x7f000001 and 017700000001 as addresses
        try:
            return refused(IPv4Address(plain), allow_private=allow_private)
        except ValueError:
            return "must be written as four decimal numbers without leading zeros"
    if plain == "localhost" or plain.endswith(".localhost"):
        return refused(IPv4Address("127.0.0.1"), allow_private=allow_private)
    return ""


def refused(address: Address, *, allow_private: bool) -> str:
    """Why nothing may connect to an address; "" if it may. An address that carries another one is judged by both."""
    for one in (address, *_carried(address)):
        if one in _METADATA:
            return "is that of a metadata service, where machines keep their credentials"
        if one.is_unspecified or one.is_multicast:
            return f"is {one}, at which no server answers"
        if allow_private:
            continue
        if one.is_loopback:
            return "is an address of this machine (loopback); allowPrivate allows it"
        if one.is_link_local:
            return "is a link-local address; allowPrivate allows it"
        if _is_private(one):
            return "is a private address; allowPrivate allows it"
    return ""


def _is_private(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        if next(_carried(address), None) is not None:
            return False  # judged by what it carries
        if address.is_site_local:
            return True
    return not address.is_global or address.is_reserved or any(address in network for network in _SPECIAL)


def _carried(address: Address) -> Iterator[IPv4Address]:
    """IPv4 addresses inside an IPv6 one: mapped, compatible, 6to4, Teredo, NAT64."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 0xFFFF):
        yield IPv4Address(int(address) & 0xFFFFFFFF)


def resolved(host: str, port: int) -> list[str]:
    """All addresses of a host, in the order of the system's preference. Blocking."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def checked(host: str, port: int, *, allow_private: bool, resolve: Resolve = resolved) -> list[str]:
    """Addresses of a host that may be connected to, all of them or none; PermissionDenied, or Unavailable where the
    name does not resolve. Blocking."""
    if reason := host_wrong(host, allow_private=allow_private):
        raise PermissionDenied(f"its address {reason}")
    try:
        addresses = resolve(host, port)
    except OSError:
        raise Unavailable("the name of its host does not resolve") from None
    for address in addresses:
        if reason := refused(ip_address(address), allow_private=allow_private):
            raise PermissionDenied(f"its name resolves to an address that {reason}")
    if not addresses:
        raise Unavailable("the name of its host does not resolve")
    return addresses
