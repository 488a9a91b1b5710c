"""A request can be followed to the upstream and to the stored end of its answer, and no span holds what was written."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

import tako
from tako.core.errors import Misconfigured
from tests.conftest import config
from tests.support.collector import Collector, attributes
from tests.support.inside import Inside, inside
from tests.support.upstream import Finish, Gate, Say, Upstream, answer
from tests.support.upstream import Status as Answered

pytestmark = pytest.mark.slow

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
SECRET = "a-question-about-octopuses"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


Open = Callable[[], AbstractAsyncContextManager[Inside]]


@pytest.fixture
def open_site(tmp_path: Path, sqlite_template: Path, upstream: Upstream, collector: Collector) -> Open:
    """A site that sends its spans when it is left."""
    database = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'traced.db')}"
    return lambda: inside(
        database, tmp_path, config(upstream), otlp_endpoint=collector.url, upstream_retries=1, metrics_token="x" * 16
    )


async def ask(site: Inside, **more: Any) -> dict[str, Any]:
    headers = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}
    body = {"model": "scripted", "input": SECRET, **more}
    told = await site.client.post("/v1/responses", json=body, headers=headers)
    assert told.status_code == 200, told.text
    return dict(told.json())


def parent_of(span: Span) -> str:
    return span.parent_span_id.hex()


async def test_an_answer_is_one_trace_from_the_request_to_the_upstream_and_to_its_stored_end(
    open_site: Open, upstream: Upstream, collector: Collector
) -> None:
    """It goes on from the caller's, and the upstream goes on from ours."""
    upstream.script = answer("octopuses ", "have three hearts")
    async with open_site() as site:
        told = await ask(site, max_output_tokens=100, temperature=0.5)
    request, generation = collector.named("POST /v1/responses"), collector.named("chat scripted")
    asking, storing = collector.named("POST"), collector.named("store end")
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE_ID}
    assert parent_of(request) == PARENT_ID
    assert parent_of(generation) == request.span_id.hex()
    assert parent_of(asking) == parent_of(storing) == generation.span_id.hex()
    assert (request.kind, asking.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert f"traceparent: 00-{TRACE_ID}-{asking.span_id.hex()}-01" in upstream.heads[-1].lower()

    known = attributes(generation.attributes)
    assert known["gen_ai.operation.name"] == "chat"
    assert known["gen_ai.provider.name"] == "scripted"
    assert known["gen_ai.request.model"] == "scripted"
    assert known["gen_ai.request.max_tokens"] == 100
    assert known["gen_ai.request.temperature"] == 0.5
    assert known["gen_ai.response.id"] == told["id"]
    assert known["gen_ai.response.finish_reasons"] == ["stop"]
    assert (known["gen_ai.usage.input_tokens"], known["gen_ai.usage.output_tokens"]) == (7, 11)
    assert known["gen_ai.response.time_to_first_chunk"] > 0
    assert attributes(request.attributes)["http.response.status_code"] == 200
    assert collector.resources[0]["service.name"] == "tako"


async def test_no_span_holds_what_was_written(open_site: Open, upstream: Upstream, collector: Collector) -> None:
    """Not the question, not the answer, and not an upstream's error, which may quote both."""
    upstream.then = [[Answered(400, f'{{"error":{{"message":"bad: {SECRET}"}}}}'.encode())], answer(SECRET)]
    async with open_site() as site:
        failed = await ask(site)
        assert SECRET in failed["error"]["message"]
        await ask(site, instructions=SECRET)
        told = await site.client.get("/api/search", params={"q": SECRET})
        assert told.status_code < 500
    assert len(collector.spans) >= 7
    assert SECRET.encode() not in collector.raw


async def test_a_failed_attempt_is_a_span_of_its_own_with_the_kind_of_its_error(
    open_site: Open, upstream: Upstream, collector: Collector
) -> None:
    """The one that was asked again has failed, the answer has not."""
    upstream.then = [[Answered(503)], answer("hi")]
    async with open_site() as site:
        await ask(site)
    first, second = (span for span in collector.spans if span.name == "POST")
    assert attributes(first.attributes)["error.type"] == "upstream_error"
    assert first.status.code == Status.STATUS_CODE_ERROR
    assert attributes(second.attributes)["http.request.resend_count"] == 1
    generation = collector.named("chat scripted")
    assert generation.status.code == Status.STATUS_CODE_UNSET
    assert attributes(generation.attributes)["tako.attempts"] == 2


async def test_the_span_of_a_stopped_answer_ends_with_its_stored_end(
    open_site: Open, upstream: Upstream, collector: Collector
) -> None:
    """The stop is a request of another trace; the end belongs to the answer."""
    gate = Gate()
    upstream.script = [Say("one"), gate, Finish()]
    async with open_site() as site:
        response_id = (await ask(site, background=True))["id"]
        await gate.reached.wait()
        assert (await site.client.post(f"/v1/responses/{response_id}/cancel")).status_code == 200
    generation = collector.named("chat scripted")
    assert attributes(generation.attributes)["gen_ai.response.finish_reasons"] == ["cancelled"]
    assert parent_of(collector.named("store end")) == generation.span_id.hex()
    stop = collector.named("POST /v1/responses/{id}/cancel")
    assert stop.trace_id != generation.trace_id


async def test_a_receiver_that_is_away_holds_up_nobody(
    tmp_path: Path, sqlite_template: Path, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """Answers are made, and the site ends."""
    database = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'traced.db')}"
    async with inside(database, tmp_path, config(upstream), otlp_endpoint="http://127.0.0.1:9") as site:
        assert (await ask(site))["status"] == "completed"
    assert "127.0.0.1" in caplog.text


async def test_a_missing_package_is_named(
    tmp_path: Path, sqlite_template: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traces are an extra of the installation."""
    monkeypatch.delitem(sys.modules, "tako.traces", raising=False)
    monkeypatch.delattr(tako, "traces", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    database = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'traced.db')}"
    with pytest.raises(Misconfigured, match=r"tako\[traces\]"):
        async with inside(database, tmp_path, config(upstream), otlp_endpoint="http://127.0.0.1:4318"):
            pass
