"""Switches over: stops the writes to the source, applies the last of them, makes the target complete, marks it done.

Everything that changes the target is one transaction with the mark at its end, so a cutover that dies leaves either a
target that is followed on, or one that is done. Before the mark any failure lifts the fence; a fence whose process died
is lifted by the next `follow` or `cutover`, unless the mark is there. How long each step took is written down beside.
"""

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

from tako.ferry import copy, deferred, follow, verify
from tako.ferry.errors import Blocked, Deadlocked, Different
from tako.ferry.plan import Plan
from tako.ferry.source import Source, fence, position
from tako.ferry.source.fence import Fence
from tako.ferry.source.position import Position
from tako.ferry.target import Target, following, state
from tako.ferry.target.following import CutoverStep, Stream
from tako.ferry.translate import ddl

Say = Callable[[dict[str, object]], None]
Kind = Literal["read-only", "lock", "hook"]

MOST_LAG = 2.0  # seconds
PATIENCE = 60.0  # seconds that the follower gets to start and to catch up before the fence
DRAINED_IN = 60.0  # seconds that the last changes may take
ALIVE = 5.0  # seconds within which a follower says that it lives


@dataclass(frozen=True, slots=True)
class How:
    """`fence_command` and `unfence_command` are for the kind `hook`; `hook` switches the site."""

    kind: Kind = "read-only"
    fence_command: str = ""
    unfence_command: str = ""
    hook: str = ""


def run(
    plan: Plan, connect: Callable[[], Source], connect_target: Callable[[], Target], how: How, say: Say
) -> dict[str, float]:
    """Switch over. Returns the seconds of each step, `stopped` among them: how long nothing could be written.

    Raises `Blocked` or `Different` with what keeps it from being done; then the source is as it was.
    """
    _allowed(how)
    with ExitStack() as stack:
        target = stack.enter_context(connect_target())
        state.prepare(target)
        following.prepare(target)
        stack.enter_context(state.switching(target, plan.target.schema))
        stream = following.read(target, plan.hash)
        if stream is None:
            raise Blocked("Nobody has followed the source yet: run `tako ferry run` or `tako ferry follow`.")
        steps = _Steps(plan, stack.enter_context(connect_target()), say)
        if not stream.done:
            lift_left_over(plan, connect, target)
            if state.try_lock(target, plan.target.schema):
                state.unlock(target, plan.target.schema)
                stack.enter_context(follow.beside(plan, connect, connect_target, say))
            _switch(follow.amended(plan, target), connect, target, how, steps)
        _afterwards(plan, target, how, steps)
        return steps.seconds


def _allowed(how: How) -> None:
    if how.kind == "hook" and not (how.fence_command and how.unfence_command):
        raise Blocked("--fence hook needs --fence-command and --unfence-command.")
    if how.kind == "lock" and not how.hook:
        raise Blocked(
            "--fence lock ends with this command, and then the old site could be written to again: give the command "
            "that switches the site with --hook, or take --fence read-only, which stays."
        )


def lift_left_over(plan: Plan, connect: Callable[[], Source], target: Target) -> None:
    """A cutover that was killed has left the source fenced. Only whoever holds the cutover's lock may ask."""
    stream = following.read(target, plan.hash)
    if stream is not None and stream.fence and not stream.done:
        fence.left_over(stream.fence, connect)
        following.note_fence(target, plan.hash, None)


class _Steps:
    """Written down over a session of its own: what is rolled back was tried all the same."""

    def __init__(self, plan: Plan, log: Target, say: Say) -> None:
        self._plan = plan
        self._log = log
        self._say = say
        self._attempt = following.next_attempt(log, plan.hash)
        self._n = 0
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._n += 1
        following.begin_step(self._log, self._plan.hash, self._attempt, self._n, name)
        begun = time.monotonic()
        error = None
        try:
            yield
        except BaseException as failure:
            error = str(failure) or type(failure).__name__
            raise
        finally:
            took = time.monotonic() - begun
            self.seconds[name] = took
            if not self._log.connection.broken:
                following.end_step(self._log, self._plan.hash, self._attempt, self._n, took, error)
            self._say({"event": "cutover", "step": name, "seconds": round(took, 3), "error": error})


def _switch(plan: Plan, connect: Callable[[], Source], target: Target, how: How, steps: _Steps) -> None:
    with connect() as source, connect() as fenced:
        with steps.step("check"):
            _await_ready(plan, target)
        with steps.step("analyse"):
            for _, statement in deferred.left(plan, target):
                if statement.startswith("ANALYZE "):
                    target.execute(statement)
        made = _fence(plan, fenced, how)
        begun = time.monotonic()
        try:
            with steps.step("fence"):
                following.note_fence(target, plan.hash, made.kept())
                made.set()
            _complete(plan, connect, source, target, steps)
            marked = time.monotonic()
        except BaseException:
            with steps.step("unfence"):
                made.lift()
                if not target.connection.broken:
                    following.note_fence(target, plan.hash, None)
            raise
        _hook(plan, target, how, steps)
        steps.seconds["stopped"] = (time.monotonic() if how.hook else marked) - begun


def _fence(plan: Plan, source: Source, how: How) -> Fence:
    if how.kind == "lock":
        return fence.TablesLocked(source, [table.source for table in plan.tables])
    if how.kind == "hook":
        return fence.Hook(how.fence_command, how.unfence_command)
    return fence.ReadOnly(source)


def _complete(plan: Plan, connect: Callable[[], Source], source: Source, target: Target, steps: _Steps) -> None:
    """From the fence to the mark."""
    with steps.step("writers"):
        fence.await_writers(source)
    with steps.step("drain"):
        end = position.current(source)
        drained = wait(plan, target, end, DRAINED_IN)
        if following.open_prepared(target, plan.hash):
            raise Blocked(_open_xa(following.open_prepared(target, plan.hash)))
    with steps.step("compare"):
        results = verify.touched(plan, connect, target)
        if different := [result for result in results if result.different]:
            first = different[0]
            raise Different(
                f"{sum(r.different for r in different)} rows differ, the first in {first.table}: "
                f"{', '.join(first.shown[0].key)}. `tako ferry verify --live --repair` mends them; then cut over again."
            )
    with steps.step("switch"), _alone(drained), target.transaction():
        for n, statement in _switching(plan, source, target):
            target.execute(statement)
            state.note_step(target, plan.hash, n, statement, None)
        _nobody_writes(plan, source, target, end, drained)
        if not following.finish(target, plan.hash, drained.changes):
            raise Blocked(_written(drained))
    if not end.gtid and not end.file:
        raise Blocked("The source keeps no log any more.")


@contextmanager
def _alone(drained: Stream) -> Iterator[None]:
    """Only a follower that applies what was written past the fence can want the same tables at the same time."""
    try:
        yield
    except Deadlocked as error:
        raise Blocked(_written(drained)) from error


def _switching(plan: Plan, source: Source, target: Target) -> Iterator[tuple[int, str]]:
    """Sequences, triggers, foreign keys: in the order of the plan, those that are not there yet."""
    yield from enumerate(copy.sequences(plan, source))
    for n, statement in deferred.left(plan, target):
        if ddl.taken_back(statement) is not None:
            yield n, statement


def _await_ready(plan: Plan, target: Target) -> None:
    """Wait for a follower that has just been started; then say what is in the way."""
    until = time.monotonic() + PATIENCE
    target.listen()
    why = blockers(plan, target)
    while why and time.monotonic() < until and all(blocker.passes for blocker in why):
        target.await_notice(0.2)
        why = blockers(plan, target)
    if why:
        raise Blocked("The cutover has to wait: " + " ".join(blocker.says for blocker in why))


Check = Literal["stopped", "consistent", "followed", "lag", "trouble", "verified", "rejects", "steps"]


@dataclass(frozen=True, slots=True)
class Blocker:
    """What keeps a cutover from being begun, for programs, for people, and the command that helps, if one does.

    `passes`: by itself, within moments.
    """

    check: Check
    says: str
    command: str = ""
    passes: bool = False


def blockers(plan: Plan, target: Target) -> list[Blocker]:
    """Everything that is in the way now."""
    stream = following.read(target, plan.hash)
    if stream is None:
        return [Blocker("followed", "Nobody has followed the source yet (`tako ferry follow`).", "tako ferry follow")]
    if stream.done:
        return []
    found = list(_of_the_stream(stream))
    active = state.active(target, plan.target.schema)
    if active is None or active[1] != "verified":
        verify = "tako ferry verify --live"
        found.append(Blocker("verified", f"The target has not been verified: `{verify}`.", verify))
    if rejects := [reject for reject in state.rejects(target, plan.hash) if not reject.accepted]:
        found.append(
            Blocker(
                "rejects",
                f"PostgreSQL has refused {len(rejects)} rows, the first of {rejects[0].table}: {rejects[0].error} "
                f"(repair them in the source, or `tako ferry accept {rejects[0].table}`).",
                f"tako ferry accept {shlex.quote(rejects[0].table)}",
            )
        )
    if failed := state.failed_steps(target, plan.hash):
        found.append(
            Blocker(
                "steps",
                f"PostgreSQL has refused a step: {failed[0][1].splitlines()[0]} (`tako ferry accept {failed[0][0]}`).",
                f"tako ferry accept {failed[0][0]}",
            )
        )
    return found


def _of_the_stream(stream: Stream) -> Iterator[Blocker]:
    if stream.stopped:
        past = f"tako ferry follow --past {stream.stopped_place}"
        yield Blocker("stopped", f"The stream has stopped: {stream.stopped}", past if past in stream.stopped else "")
        return
    if not stream.consistent:
        says = "The target is not consistent yet: the log has not been applied up to the end of the copy."
        yield Blocker("consistent", says, passes=True)
    if not _heard(stream):
        says = "Nobody follows the source now (`tako ferry follow`)."
        yield Blocker("followed", says, "tako ferry follow", passes=True)
    elif stream.lag is None or stream.lag >= MOST_LAG:
        says = f"The target is {stream.lag or 0:.0f} s behind the source; at most {MOST_LAG:.0f} s."
        yield Blocker("lag", says, passes=True)
    if stream.trouble:
        yield Blocker("trouble", stream.trouble, passes=True)


def _heard(stream: Stream) -> bool:
    """Somebody follows now, whatever has stopped the one before."""
    return stream.silent is not None and stream.silent <= ALIVE


def _open_xa(names: list[str]) -> str:
    """Only looked at behind the fence: before it there is always one, where an application uses them."""
    return f"The source has an XA transaction that is prepared and not over: {names[0]} (XA COMMIT or XA ROLLBACK it)."


def unwritable(steps: Sequence[CutoverStep]) -> float | None:
    """For how many seconds nothing could be written: from the last fence on until the site was switched, or without a
    hook until the mark. None while the hook has not done its work."""
    fences = [step.started_at for step in steps if step.step == "fence"]
    ends = [step for step in steps if step.step in ("switch", "hook")]
    if not fences or not ends or ends[-1].seconds is None or ends[-1].error:
        return None
    return (ends[-1].started_at - fences[-1]).total_seconds() + ends[-1].seconds


def wait(plan: Plan, target: Target, end: Position, patience: float, *, locked: str = "") -> Stream:
    """Until everything up to `end` is applied. `locked`: what to say if that waits for a lock of this session."""
    until = time.monotonic() + patience
    target.listen()
    while True:
        stream = following.read(target, plan.hash)
        if stream is None or stream.stopped:
            raise Blocked(f"The stream has stopped: {stream.stopped if stream else 'it is gone'}")
        if follow.is_behind(stream, end, mariadb=plan.source.server == "mariadb"):
            return stream
        if locked and target.holds_up_another():
            raise Blocked(locked)
        if time.monotonic() > until:
            raise Blocked(f"The last changes were not applied within {patience:.0f} s: `tako ferry status` says why.")
        target.await_notice(0.2)


def await_copied(plan: Plan, target: Target) -> None:
    """Give whoever follows a moment to make a copy complete that has just been followed up to its end."""
    until = time.monotonic() + PATIENCE
    target.listen()
    while time.monotonic() < until:
        active, stream = state.active(target, plan.target.schema), following.read(target, plan.hash)
        if active is None or active[1] != "copying" or stream is None or (stream.stopped and not _heard(stream)):
            return
        target.await_notice(0.2)


def _nobody_writes(plan: Plan, source: Source, target: Target, end: Position, drained: Stream) -> None:
    """Other databases of the server may go on; whoever writes to this one is past the fence.

    A change of a table that has just got its keys cannot be applied: it waits for our own transaction.
    """
    now = position.current(source)
    if (now.gtid, now.file, now.offset) != (end.gtid, end.file, end.offset):
        found = wait(plan, target, now, ALIVE, locked=_written(drained))
        if found.changes != drained.changes:
            raise Blocked(_written(drained))


def _written(drained: Stream) -> str:
    return (
        f"Somebody has written to the source although it is fenced (behind {drained.file}:{drained.offset}): a user "
        "who may write to a read-only server, or a hook that does not stop everybody. Stop that one; cut over again."
    )


def _hook(plan: Plan, target: Target, how: How, steps: _Steps) -> None:
    if not how.hook:
        return
    with steps.step("hook"):
        try:
            fence.called(how.hook, "The target is complete, and the command that switches the site failed")
        except Blocked as error:
            raise Blocked(
                f"{error.message} Nothing is followed any more, and the source stays fenced. Run it by hand, or "
                "`tako ferry cutover` again with a better one."
            ) from error
    following.note_hook(target, plan.hash)


def _afterwards(plan: Plan, target: Target, how: How, steps: _Steps) -> None:
    """What may be done while the site writes to the target. An orphan keeps a key from being valid only."""
    if how.hook and not following.hooked(target, plan.hash):
        _hook(plan, target, how, steps)
    with steps.step("validate"):
        for n, statement in deferred.left(plan, target):
            state.step(target, plan.hash, n, statement)
