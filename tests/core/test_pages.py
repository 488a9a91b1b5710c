"""The built page as it is served."""

from pathlib import Path

import httpx
import pytest

from tako.core.errors import NotFound
from tako.core.pages import Pages


@pytest.fixture
def pages(tmp_path: Path) -> httpx.AsyncClient:
    root = tmp_path / "web"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<title>the page</title>")
    (root / "assets" / "app-1a2b.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    return httpx.AsyncClient(transport=httpx.ASGITransport(Pages(root)), base_url="http://site")


async def test_every_address_of_a_person_is_the_page(pages: httpx.AsyncClient) -> None:
    """It is asked for anew each time, and says what may run in it."""
    for path in ("/", "/c/conv_1", "/owner/models", "/index.html"):
        found = await pages.get(path)
        assert (found.status_code, found.text) == (200, "<title>the page</title>")
        assert found.headers["cache-control"] == "no-cache"
        policy = found.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy


async def test_what_is_named_by_its_content_is_kept_for_ever(pages: httpx.AsyncClient) -> None:
    found = await pages.get("/assets/app-1a2b.js")
    assert found.headers["content-type"].startswith("text/javascript")
    assert "immutable" in found.headers["cache-control"]
    assert found.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/api/nothing", "/v1/nothing", "/assets/gone.js", "/assets/..%2f..%2fsecret.txt"])
async def test_a_machine_that_asks_for_what_is_not_there_gets_no_page(pages: httpx.AsyncClient, path: str) -> None:
    """A script that gets HTML for an old name fails in strange ways; and nothing outside of the page is there."""
    with pytest.raises(NotFound):
        await pages.get(path)


async def test_a_page_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    client = httpx.AsyncClient(transport=httpx.ASGITransport(Pages(tmp_path)), base_url="http://site")
    assert "make run" in (await client.get("/")).text
