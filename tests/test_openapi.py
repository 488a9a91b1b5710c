"""The document that clients are generated from."""

import json
from pathlib import Path

from openapi_spec_validator import validate

from tako import server

COMMITTED = Path(__file__).parent.parent / "web" / "openapi.json"


async def test_the_committed_document_is_the_servers() -> None:
    """The page's client is generated from web/openapi.json: after a change of a route, run `make openapi`."""
    document = await server.openapi()
    validate(document)
    assert (
        COMMITTED.read_text(encoding="utf-8")
        == f"{json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)}\n"
    )


async def test_every_route_of_the_page_says_what_it_takes_and_gives() -> None:
    """A route without a schema cannot be called by a typed client."""
    for path, operations in (await server.openapi())["paths"].items():
        for method, operation in operations.items():
            if "page" not in operation.get("tags", ()):
                continue
            for status, response in operation["responses"].items():
                assert status == "204" or all(kind["schema"] for kind in response["content"].values()), (path, method)
            assert "default" in operation["responses"], (path, method)
