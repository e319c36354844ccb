#!/usr/bin/env python3
"""Writes sbom.cdx.json: what the library is made of, as CycloneDX 1.6: versions, licences, checksums. `--check` only compares."""

import json
import uuid

import deny
import notice

def component(package, checksums):
    name, version = package["name"], package["version"]
    purl = f"pkg:cargo/{name}@{version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": checksums[name, version]}],
        "licenses": [{"expression": package["license"].replace("/", " OR ")}],
        "externalReferences": [{"type": "vcs", "url": package["repository"]}] if package["repository"] else [],
    }


def sbom():
    checksums = deny.locked()
    version = next(version for name, version in checksums if name == "helio")
    components = [component(package, checksums) for package in notice.crates()]
    # A name for exactly this list: the same list gives the same bytes.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([version, components]))
    helio = {"type": "library", "bom-ref": "helio", "name": "helio", "version": version, "licenses": [{"expression": "MIT OR Apache-2.0"}]}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": helio},
        "components": components,
        "dependencies": [{"ref": "helio", "dependsOn": [one["bom-ref"] for one in components]}],
    }
    return json.dumps(document, indent=1) + "\n"


if __name__ == "__main__":
    notice.keep("sbom.cdx.json", sbom())
