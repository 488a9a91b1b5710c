"""What a person sees while rows move, and what a machine reads."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tako.ferry.plan import Plan

Say = Callable[[dict[str, object]], None]


def machine(out: TextIO = sys.stdout) -> Say:
    """One JSON object per line, at once."""

    def say(event: dict[str, object]) -> None:
        out.write(json.dumps(event, default=str) + "\n")
        out.flush()

    return say


@contextmanager
def shown(plan: Plan, done: Mapping[str, int], *, as_json: bool) -> Iterator[Say]:
    """Bars on a terminal, lines elsewhere. `done` are rows that were copied before."""
    if as_json:
        yield machine()
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield narrate
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} rows  {task.fields[speed]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bars(plan, done, progress)


class _Bars:
    """A bar per table that is at work; a finished one stays as a line."""

    def __init__(self, plan: Plan, done: Mapping[str, int], progress: Progress) -> None:
        self._expected = {table.source: table.rows for table in plan.tables}
        self._done = done
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._bytes: dict[str, int] = {}

    def __call__(self, event: dict[str, object]) -> None:
        match event["event"]:
            case "chunk":
                self._chunk(str(event["table"]), int(str(event["rows"])), int(str(event["bytes"])))
            case "table":
                bar = self._bar(str(event["table"]))
                self._progress.update(bar, total=self._progress.tasks[bar].completed)
            case "step":
                self._progress.console.print(f"[dim]{event['statement']}[/dim]", markup=True, highlight=False)
            case "position":
                self._progress.console.print(
                    f"Position: {event['gtid'] or event['file'] or 'none (the source keeps no log)'}"
                )
            case "reject":
                self._progress.console.print(f"[red]{event['rows']} rows of {event['table']} were refused[/red]")
            case "trouble":
                self._progress.console.print(str(event["message"]), markup=False, style="yellow")

    def _bar(self, table: str) -> TaskID:
        if table not in self._bars:
            total = max(self._expected.get(table, 0), 1)
            self._bars[table] = self._progress.add_task(
                table, total=total, completed=self._done.get(table, 0), speed=""
            )
        return self._bars[table]

    def _chunk(self, table: str, rows: int, size: int) -> None:
        bar = self._bar(table)
        self._bytes[table] = self._bytes.get(table, 0) + size
        elapsed = self._progress.tasks[bar].elapsed or 0
        speed = f"{self._bytes[table] / elapsed / 1e6:.1f} MB/s" if elapsed > 0.5 else ""
        self._progress.update(bar, advance=rows, speed=speed)


@contextmanager
def followed(*, as_json: bool) -> Iterator[Say]:
    """While a source is followed: how far behind it is on one line of a terminal, lines of what happens elsewhere."""
    console = Console(stderr=True)
    if as_json or not console.is_terminal:
        yield machine() if as_json else narrate
        return
    with console.status("following") as status:

        def say(event: dict[str, object]) -> None:
            if event["event"] == "lag":
                waiting = int(str(event["spooled"]))
                rest = f", {waiting / 1e6:,.1f} MB wait" if waiting > 1e5 else ""
                status.update(f"{event['seconds']} s behind, {event['rows_per_s']:,} rows/s{rest}")
            elif text := line(event):
                console.print(text, markup=False, highlight=False)

        yield say


def narrate(event: dict[str, object]) -> None:
    """For logs: a line per table and step, not per chunk or second."""
    if text := line(event):
        sys.stderr.write(f"{text}\n")


def line(event: dict[str, object]) -> str:
    """What a person reads of it; empty for what comes all the time."""
    match event["event"]:
        case "chunk" | "lag":
            return ""
        case "verified":
            return f"{event['table']}: {event['rows']:,} rows compared"
        case "cutover":
            failed = f", and failed: {event['error']}" if event["error"] else ""
            return f"  {event['step']}: {event['seconds']:.2f} s{failed}"
        case "step":
            return f"{event['n']} of {event['of']}: {event['statement']}"
        case "trouble":
            return str(event["message"])
        case "following":
            return f"Following from {event['gtid'] or event['file']}."
        case "done":
            return "The cutover is done."
        case "settling":
            names = ", ".join(event["tables"]) if isinstance(event["tables"], list) else ""
            return f"Rows that foreign keys change are compared with the source, once: {names}."
        case "settled":
            return f"{event['table']}: {event['rows']:,} rows compared, {event['mended']:,} mended"
        case "consistent":
            return "The target is consistent: every change up to the end of the copy has been applied."
        case name:
            rest = " ".join(f"{key}={value}" for key, value in event.items() if key != "event")
            return f"{name}: {rest}" if rest else str(name)
