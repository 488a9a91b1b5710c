"""Logs hold no secrets and nothing that people wrote, whoever logs it."""

import json
import logging
import subprocess
import sys

import pytest

KEY = "sk-tako-" + "a" * 43
SCRIPT = f"""
import logging, sys, structlog
from tako.core.logs import configure
configure("info", sys.argv[1])
log = structlog.get_logger("tako.test")
log.debug("too quiet")
log.info("asked", password="p4ss", api_key="k3y", Authorization="Bearer k3y", input_tokens=5, path="/v1",
         nested={{"cookie": "c00kie", "list": ["{KEY}"]}}, text="diary", content=["diary"])
log.warning("key {KEY} refused", url="postgresql://tako:p4ss@host/db")
logging.getLogger("uvicorn.error").warning("bad header %s", "{KEY}")
try:
    raise ValueError("[SQL: INSERT] [parameters: ('diary',)] {KEY}")
except ValueError:
    log.exception("failed")
    logging.getLogger("sqlalchemy.pool").exception("failed too")
"""


@pytest.fixture(params=["text", "json"])
def lines(request: pytest.FixtureRequest) -> list[str]:
    run = subprocess.run([sys.executable, "-c", SCRIPT, request.param], capture_output=True, text=True, check=True)
    assert run.stdout == ""
    return run.stderr.splitlines()


def test_no_secret_and_no_message_text_is_logged(lines: list[str]) -> None:
    logged = "\n".join(lines)
    for secret in (KEY, "p4ss", "k3y", "c00kie", "diary"):
        assert secret not in logged
    assert "input_tokens" in logged
    assert "INSERT" in logged


def test_what_is_logged_can_be_found(lines: list[str]) -> None:
    logged = "\n".join(lines)
    for said in ("asked", "/v1", "bad header ***", "ValueError", "failed too"):
        assert said in logged
    assert "too quiet" not in logged


def test_json_logs_are_one_object_a_line() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT, "json"], capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in run.stderr.splitlines()]
    assert [event["event"] for event in events] == [
        "asked",
        "key *** refused",
        "bad header ***",
        "failed",
        "failed too",
    ]
    assert events[0]["input_tokens"] == 5
    assert events[0]["nested"] == {"cookie": "***", "list": ["***"]}
    assert logging.getLevelName(events[1]["level"].upper()) == logging.WARNING
