"""What an environment holds, as SPDX 2.3 JSON: `python sbom.py NAME VERSION > sbom.spdx.json`."""

import hashlib
import json
import re
import sys
from importlib import metadata
from typing import Any


def document(name: str, version: str) -> dict[str, Any]:
    """The bill of materials of the environment that runs this; the same environment gives the same bytes."""
    packages = sorted((_package(found) for found in metadata.distributions()), key=lambda package: package["SPDXID"])
    digest = hashlib.sha256(json.dumps(packages, sort_keys=True).encode()).hexdigest()
    described = [
        {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": package["SPDXID"]}
        for package in packages
    ]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{name}-{version}",
        "documentNamespace": f"https://posology.dev/sbom/{name}-{version}-{digest[:16]}",
        "creationInfo": {"created": "1970-01-01T00:00:00Z", "creators": ["Tool: posology-sbom"]},
        "packages": packages,
        "relationships": described,
    }


def _package(found: metadata.Distribution) -> dict[str, Any]:
    name, version = found.metadata["Name"], found.version
    safe = re.sub(r"[^A-Za-z0-9.]+", "-", f"{name}-{version}")
    stated = found.metadata.get("License-Expression") or "NOASSERTION"
    purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"
    return {
        "SPDXID": f"SPDXRef-{safe}",
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "licenseDeclared": stated,
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}],
    }


if __name__ == "__main__":
    json.dump(document(sys.argv[1], sys.argv[2]), sys.stdout, indent=1)
