"""Where an embedded installation listens."""

import json
from pathlib import Path

from posology.cli import embedded
from posology.client.installation import ENDPOINTS


def test_the_address_of_the_openai_api_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    layout = embedded.lay_out(tmp_path, environment={"POSOLOGY_HTTP_LISTEN": "127.0.0.1:8480"})
    assert layout.environment_of("gateway")["POSOLOGY_HTTP_LISTEN"] == "127.0.0.1:8480"
    assert layout.environment_of("console")["POSOLOGY_GATEWAY_URL"] == "http://127.0.0.1:8480"
    layout.write_endpoints({})
    assert json.loads((tmp_path / ENDPOINTS).read_text())["gatewayUrl"] == "http://127.0.0.1:8480"


def test_an_address_that_nobody_asked_for_is_a_free_one(tmp_path: Path) -> None:
    layout = embedded.lay_out(tmp_path, environment={})
    host, _, port = layout.http.partition(":")
    assert host == "127.0.0.1"
    assert int(port) > 0
