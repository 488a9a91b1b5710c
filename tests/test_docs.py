"""What the documents say is there."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from tako.chat.providers.settings import LocalSettings, ModelSettings, ProviderSettings
from tako.settings import Settings

ROOT = Path(__file__).parent.parent
CONFIGURATION = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_every_setting_is_documented() -> None:
    """Who adds one writes a line about it."""
    missing = [field.name for field in fields(Settings) if f"`{field.name}`" not in CONFIGURATION]
    assert missing == []


def test_every_key_of_a_model_is_documented() -> None:
    """They are keys of tables, so `tako config` does not explain them."""
    kinds = (ProviderSettings, ModelSettings, LocalSettings)
    names = {field.name for kind in kinds for field in fields(kind)} - {"models", "log"}
    assert sorted(name for name in names if name not in CONFIGURATION) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    """Also to pictures."""
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_that_documents_name_exist(document: Path) -> None:
    """A promise points to what shows it."""
    names = set(re.findall(r"`(test_[a-z0-9_]+)`", document.read_text(encoding="utf-8")))
    defined = {name for file in (ROOT / "tests").rglob("test_*.py") for name in _names(file)}
    assert sorted(names - defined) == []


def _names(file: Path) -> list[str]:
    return re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))
