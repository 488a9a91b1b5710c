"""What must hold when everybody has read to the end, whatever was done to the site."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import httpx
import msgspec
from sqlalchemy import text

from tako.core.db import Database
from tako.core.errors import Unavailable
from tests.faults.crowd import AGAIN, COMPACT, RESPONSES, Crowd, Dialect
from tests.faults.stage import UPSTREAM_FAULTS, Answer, Stage
from tests.support.sse import blocks, events, text_of
from tests.support.story import problems_of_a_reader, problems_of_the_stored

# What there must be none of when nothing runs any more.
BOOKS = {
    "responses left running": "SELECT count(*) FROM responses WHERE completed_at IS NULL",
    "logs left running": "SELECT count(*) FROM logs WHERE ended_at IS NULL",
    "messages left running": "SELECT count(*) FROM messages WHERE status IN ('queued', 'in_progress')",
    "attempts left running": "SELECT count(*) FROM attempts WHERE ended_at IS NULL",
    "answers left in the line": "SELECT count(*) FROM waiting",
    "tokens left set aside": "SELECT coalesce(sum(reserved), 0) FROM quotas",
    "tokens used and not billed, or the other way round": """
        SELECT coalesce((SELECT sum(used) FROM quotas), 0)
            - coalesce((SELECT sum(input_tokens + output_tokens) FROM ledger), 0)""",
    "responses without a bill": "SELECT count(*) FROM responses WHERE id NOT IN (SELECT response_id FROM ledger)",
    "bills for nothing": "SELECT count(*) FROM ledger WHERE response_id NOT IN (SELECT id FROM responses)",
    "bills that count other attempts than were made": """
        SELECT count(*) FROM ledger
        WHERE attempts <> (SELECT count(*) FROM attempts WHERE attempts.response_id = ledger.response_id)""",
    "messages that ended otherwise than their responses": """
        SELECT count(*) FROM responses JOIN messages ON messages.id = responses.message_id
        WHERE responses.status <> messages.status""",
}
LEASES = "SELECT count(*) FROM processes WHERE fenced_at IS NULL"
ANSWERS = "SELECT count(*) FROM responses WHERE purpose = 'answer'"
# Of SQLite what has ended is forgotten with the next start.
ENTRIES = "SELECT count(*) FROM journal_entries"
ATTEMPTS = "SELECT response_id, count(*) FROM attempts GROUP BY response_id"


async def problems_of_the_round(stage: Stage, crowd: Crowd, *, hung_up: bool, patience: float) -> list[str]:
    """Everything that is not as it was promised, in words. `hung_up`: any answer may have lost its upstream."""
    found = await problems_of_the_books(stage, patience)
    if found:
        return found
    for answer in crowd.answers:
        found += [f"{answer.question}: {problem}" for problem in await _of_an_answer(stage, crowd, answer, hung_up)]
    return found


async def _of_an_answer(stage: Stage, crowd: Crowd, answer: Answer, hung_up: bool) -> list[str]:
    if len(answer.ids) != 1:
        return [f"one key, and the answers {sorted(answer.ids)}"]
    kept = await stored(stage, answer, RESPONSES)
    found = problems_of_the_stored(kept, answer.said, may_fail=True)
    found += _of_its_end(answer, events(kept)[-1].data["response"], hung_up)
    wires = {RESPONSES: kept}
    if answer.page:
        wires[COMPACT] = await stored(stage, answer, COMPACT)
        if _text(wires[COMPACT]) != text_of(events(kept)):
            found.append("the dialects tell different texts")
    for reader in crowd.readers:
        if reader.answer is answer:
            found += problems_of_a_reader(reader.wire, wires[reader.dialect])
    return found


def _of_its_end(answer: Answer, final: "dict[str, dict[str, str]]", hung_up: bool) -> list[str]:
    """It ended as something made it end."""
    status, reason, error = str(final["status"]), final["incomplete_details"] or {}, final["error"] or {}
    found = []
    if status == "cancelled" and not answer.stopped:
        found.append("it was cancelled, and nobody stopped it")
    if status == "incomplete" and reason.get("reason") not in ("interrupted", "server_shutdown"):
        found.append(f"it is incomplete: {reason}")
    if status == "failed" and not (
        str(error.get("code")).startswith("upstream_") and (hung_up or answer.manner in UPSTREAM_FAULTS)
    ):
        found.append(f"it failed: {error}")
    if answer.told - {status}:
        found.append(f"who stopped it was told {sorted(answer.told)}, and it is {status}")
    return found


def _text(compact: bytes) -> str:
    return "".join(
        msgspec.json.decode(block.split(b"data: ", 1)[1], type=dict).get("v", "") for block in blocks(compact)
    )


async def stored(stage: Stage, answer: Answer, dialect: Dialect) -> bytes:
    """As all processes have it, which must be the same."""
    wires = await asyncio.gather(*(_fetched(stage, process.client, answer, dialect) for process in stage.processes))
    if len(set(wires)) != 1:
        stage.found(f"{answer.question}: the processes tell it differently")
    return wires[0]


async def _fetched(stage: Stage, client: httpx.AsyncClient, answer: Answer, dialect: Dialect) -> bytes:
    told = ""
    for _ in range(100):
        try:
            response = await client.get(dialect.query(answer))
            if response.status_code == 200:
                return b"".join(blocks(response.content))
            told = str(response.status_code)
        except httpx.TransportError as error:
            told = type(error).__name__
        await asyncio.sleep(AGAIN)
    stage.found(f"{answer.question}: {told} instead of the stored answer")
    return b""


async def problems_of_the_books(stage: Stage, patience: float) -> list[str]:
    """What the database and the upstream say, once nothing is under way any more, or patience is at its end."""
    async with Database(stage.url) as db:
        try:
            async with asyncio.timeout(patience):
                while await _not_settled(stage, db):
                    await asyncio.sleep(AGAIN)
        except TimeoutError:
            return await _not_settled(stage, db)
        return await _asked_too_often(stage, db)


async def _not_settled(stage: Stage, db: Database) -> list[str]:
    expected = {LEASES: len(stage.processes), ANSWERS: len(stage.answers)}
    names = {LEASES: "processes with a lease", ANSWERS: "answers"}
    try:
        async with db.read() as connection:
            counts = {name: (await connection.execute(text(query))).scalar_one() for name, query in BOOKS.items()}
            found = [f"{count} {name}" for name, count in counts.items() if count]
            for query, right in expected.items():
                if (count := (await connection.execute(text(query))).scalar_one()) != right:
                    found.append(f"{count} {names[query]} instead of {right}")
            if db.dialect == "postgresql" and (count := (await connection.execute(text(ENTRIES))).scalar_one()):
                found.append(f"{count} entries of logs that have ended")
    except Unavailable as error:
        return [error.message]
    if stage.upstream.open:
        found.append(f"{stage.upstream.open} connections to the upstream left open")
    return found


async def _asked_too_often(stage: Stage, db: Database) -> list[str]:
    """No upstream was asked for anything that is not an attempt in the books."""
    async with db.read() as connection:
        rows: Sequence[tuple[str, int]] = [(row[0], row[1]) for row in await connection.execute(text(ATTEMPTS))]
    made = dict(rows)
    asked = Counter(body["messages"][0]["content"] for body in stage.upstream.requests)
    return [
        f"{answer.question}: {asked[answer.question]} requests of {made.get(answer.id)} attempts"
        for answer in stage.answers.values()
        if answer.ids and asked[answer.question] > made.get(answer.id, 0)
    ]
