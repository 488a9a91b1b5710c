"""The dashboard and the alert rules ask for metrics and labels that exist."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import promql_parser
import pytest
import yaml

from tako.chat.entries import Used
from tako.chat.generation import Outcome
from tako.metrics.prometheus import Metrics
from tests.support.scrape import Scraped

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana.json").read_text(encoding="utf-8"))
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
# What Prometheus adds to every scrape.
ITS_OWN = {"up": {"job", "instance"}}
OF_EVERY_TARGET = {"job", "instance"}


def targets() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", target["expr"]


QUERIES = [*targets(), *((rule["alert"], rule["expr"]) for rule in RULES)]


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """Every sample that a site on which everything has happened prints, with its labels."""
    metrics = Metrics()
    generation: Any = SimpleNamespace(response=SimpleNamespace(purpose="answer", model="scripted"))
    metrics.registered("proc_1")
    metrics.first_token(generation, 1)
    metrics.upstream_failed("scripted", "upstream_error")
    metrics.ended(generation, Outcome("completed"), Used(7, 11))
    metrics.resumed(running=True)
    seen = Scraped(metrics.text("")[0].decode())
    return ITS_OWN | {name: OF_EVERY_TARGET.union(*seen.labels(name)) for name in seen.names}


def parsed(query: str) -> promql_parser.Expr:
    """Raises for what is no PromQL."""
    return promql_parser.parse(query.replace("$__rate_interval", "5m").replace("$__range", "1h"))


def nodes(query: str) -> list[Any]:
    found: list[Any] = []
    promql_parser.walk(parsed(query), found.append)
    return found


@pytest.mark.parametrize(("name", "query"), QUERIES, ids=[name for name, _ in QUERIES])
def test_every_query_asks_for_what_is_there(name: str, query: str, known: dict[str, set[str]]) -> None:
    """Who renames a metric or a label would else have a panel that is empty, and an alert that never comes."""
    everything = nodes(query)
    selectors = [node for node in everything if isinstance(node, promql_parser.VectorSelector)]
    assert selectors
    for selector in selectors:
        assert selector.name is not None
        assert selector.name in known
        asked = {matcher.name for matcher in selector.matchers.matchers}
        assert asked <= known[selector.name]
    labels = set[str]().union(*(known[selector.name or ""] for selector in selectors))
    for node in everything:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            assert set(node.modifier.labels) <= labels


def test_every_metric_is_on_the_dashboard(known: dict[str, set[str]]) -> None:
    """What nobody can look at need not be counted."""
    shown = {node.name for _, query in targets() for node in nodes(query) if hasattr(node, "matchers")}
    families = {name.removesuffix("_count").removesuffix("_sum").removesuffix("_bucket") for name in known}
    unseen = {family for family in families if not any(name.startswith(family) for name in shown)}
    assert unseen == set(ITS_OWN)


def test_panels_have_ids_and_places_of_their_own() -> None:
    """Grafana draws one over the other otherwise."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_in_the_documents_what_to_do(rule: dict[str, Any]) -> None:
    """Whoever is woken by its name finds it as a heading."""
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"]
    assert f"\n### {rule['alert']}\n" in (ROOT / "docs/operate.md").read_text(encoding="utf-8")
