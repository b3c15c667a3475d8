"""An endpoint's address is public unless its operator says otherwise, however it is written or resolved."""

import socket
from ipaddress import ip_address

import pytest

from posology.core.errors import PermissionDenied, PosologyError, Unavailable
from posology.core.model_endpoints.addresses import checked, refused, resolved, written_wrong

PRIVATE = [
    "https://127.0.0.1/v1",
    "https://127.8.9.1/v1",
    "https://localhost/v1",
    "https://LocalHost./v1",
    "https://api.localhost/v1",
    "https://10.1.2.3/v1",
    "https://172.16.0.9:8443/v1",
    "https://192.168.1.1/v1",
    "https://100.64.0.1/v1",
    "https://169.254.7.7/v1",
    "https://198.18.0.1/v1",
    "https://192.0.0.8/v1",
    "https://240.0.0.1/v1",
    "https://255.255.255.255/v1",
    "https://[::1]/v1",
    "https://[0:0:0:0:0:0:0:1]/v1",
    "https://[fe80::1]/v1",
    "https://[fc00::1]/v1",
    "https://[fec0::1]/v1",
    "https://[::ffff:127.0.0.1]/v1",
    "https://[::ffff:7f00:1]/v1",
    "https://[::ffff:10.0.0.1]/v1",
    "https://[::127.0.0.1]/v1",
    "https://[2002:7f00:1::]/v1",
    "https://[2002:a00:1::1]/v1",
    "https://[64:ff9b::7f00:1]/v1",
    "https://[64:ff9b::10.0.0.1]/v1",
    "https://[64:ff9b:1::808:808]/v1",
    "https://[2001:0:7f00:1::]/v1",
]
NEVER = [
    "https://169.254.169.254/latest/meta-data",
    "https://169.254.170.2/v1",
    "https://metadata.google.internal/v1",
    "https://METADATA.google.internal./v1",
    "https://100.100.100.200/v1",
    "https://168.63.129.16/v1",
    "https://[fd00:ec2::254]/v1",
    "https://[::ffff:169.254.169.254]/v1",
    "https://[64:ff9b::a9fe:a9fe]/v1",
    "https://[2002:a9fe:a9fe::]/v1",
    "https://0.0.0.0/v1",
    "https://[::]/v1",
    "https://224.0.0.1/v1",
    "https://[ff02::1]/v1",
]
WRITTEN = [
    "https://2130706433/v1",
    "https://0x7f000001/v1",
    "https://0x7f.0.0.1/v1",
    "https://017700000001/v1",
    "https://0177.0.0.1/v1",
    "https://127.1/v1",
    "https://127.0.1/v1",
    "https://127.0.0.01/v1",
    "https://8.8.8.8.8/v1",
    "https://134744072/v1",
    "https://１２７.0.0.1/v1",
    "https://127。0。0。1/v1",
    "https://ⓛⓞⓒⓐⓛhost/v1",
    "https://[fe80::1%25eth0]/v1",
    "https://[fe80::1%eth0]/v1",
    "https://user:secret@api.example.org/v1",
    "https://api.example.org@127.0.0.1/v1",
    "https://api.example.org\\@127.0.0.1/v1",
    "https://api.example.org/v1?api-key=secret",
    "https://api.example.org/v1#secret",
    "https://api.example.org/v1?",
    "https://api.exa mple.org/v1",
    "https://api.example.org/v1\r\nx-injected: 1",
    "https:///v1",
    "https://:443/v1",
    "https://api.example.org:0/v1",
    "https://api.example.org:99999/v1",
    "https://api..example.org/v1",
    "https://-api.example.org/v1",
    "https://%31%32%37.0.0.1/v1",
    "ftp://api.example.org/v1",
    "file:///etc/passwd",
    "gopher://api.example.org/",
    "unix:///run/docker.sock",
    "api.example.org/v1",
    "//api.example.org/v1",
    "",
]
PUBLIC = [
    "https://api.openai.com/v1",
    "https://api.openai.com:8443/openai/deployments/a/",
    "https://8.8.8.8/v1",
    "https://[2606:4700::1111]/v1",
    "https://[::ffff:8.8.8.8]/v1",
    "https://xn--bcher-kva.example/v1",
    "https://vllm_1.models.example/v1",
    "https://1and1.example/v1",
]


@pytest.mark.parametrize("address", [*PRIVATE, *NEVER, *WRITTEN])
def test_an_address_that_is_not_plainly_public_is_refused(address: str) -> None:
    assert written_wrong(address, allow_private=False)


@pytest.mark.parametrize("address", [*NEVER, *WRITTEN])
def test_no_operator_can_allow_metadata_services_and_ambiguous_writings(address: str) -> None:
    assert written_wrong(address, allow_private=True)


@pytest.mark.parametrize("address", [a for a in PRIVATE if a not in NEVER])
def test_an_operator_can_allow_private_addresses(address: str) -> None:
    assert written_wrong(address, allow_private=True) == ""


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_and_names_are_fine(address: str) -> None:
    assert written_wrong(address, allow_private=False) == ""


def test_keys_go_over_tls_unless_the_operator_says_that_the_network_is_his() -> None:
    assert "https" in written_wrong("http://api.example.org/v1", allow_private=False)
    assert written_wrong("http://vllm.models.svc:8000/v1", allow_private=True) == ""


@pytest.mark.parametrize(
    "answers",
    [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::1"], ["2606:4700::1111", "::ffff:192.168.0.1"], ["169.254.169.254"]],
)
def test_a_name_is_refused_when_any_of_its_addresses_is(answers: list[str]) -> None:
    with pytest.raises(PermissionDenied, match="resolves to an address"):
        checked("models.example.org", 443, allow_private=False, resolve=lambda host, port: answers)


def test_a_name_that_resolves_to_nothing_can_be_tried_again() -> None:
    def fails(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such host")

    def knows_nothing(host: str, port: int) -> list[str]:
        return []

    for resolve in (fails, knows_nothing):
        with pytest.raises(Unavailable):
            checked("models.example.org", 443, allow_private=False, resolve=resolve)


def test_the_systems_resolver_reads_numbers_as_addresses_and_is_not_asked_for_them() -> None:
    assert resolved("127.1", 80) == ["127.0.0.1"]  # what makes these writings dangerous
    for host in ("127.1", "2130706433", "0x7f.1"):
        with pytest.raises(PosologyError):
            checked(host, 80, allow_private=False)


def test_every_special_range_of_ipv4_is_private() -> None:
    for text in ("0.1.2.3", "10.0.0.0", "127.255.255.255", "169.254.0.1", "192.0.2.1", "198.51.100.7", "203.0.113.9"):
        assert refused(ip_address(text), allow_private=False)
