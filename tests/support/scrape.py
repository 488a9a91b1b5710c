"""What a site tells Prometheus, as numbers."""

from collections.abc import Mapping

import httpx
from prometheus_client.parser import text_string_to_metric_families

TOKEN = "a-token-for-scrapers"


class Scraped:
    """One scrape. `value` sums the samples of that name whose labels are among those given; None without any."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = list(text_string_to_metric_families(text))
        self._samples = [sample for family in self.families for sample in family.samples]

    @property
    def names(self) -> set[str]:
        """Of all samples."""
        return {sample.name for sample in self._samples}

    def value(self, name: str, **labels: str) -> float | None:
        found = [s.value for s in self._samples if s.name == name and labels.items() <= s.labels.items()]
        return sum(found) if found else None

    def labels(self, name: str) -> list[Mapping[str, str]]:
        return [sample.labels for sample in self._samples if sample.name == name]


async def scrape(url: str) -> Scraped:
    """Read /metrics of the site at `url`."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answered = await client.get(f"{url}/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answered.status_code == 200, answered.text
    return Scraped(answered.text)
