"""Where in a conversation a question or an answer goes."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from tako.chat import store
from tako.chat.store import Conversation, Message, Response
from tako.core.accounts.principal import Principal, authorize
from tako.core.errors import Conflict, Invalid, NotFound

# What a model is told that cannot go on from a text of its own.
GO_ON = (
    "Your last answer was cut off. Go on exactly where it stopped, in its language: repeat nothing of it, "
    "say nothing about the interruption."
)
_RUNNING = ("queued", "in_progress")


@dataclass(frozen=True, slots=True)
class After:
    """The question follows that message, whatever else does; None: it begins a branch of its own."""

    message_id: str | None


@dataclass(frozen=True, slots=True)
class Again:
    """Another answer to that question."""

    question_id: str


@dataclass(frozen=True, slots=True)
class Onward:
    """More of that answer, which was interrupted."""

    answer_id: str


Place = After | Again | Onward


@dataclass(frozen=True, slots=True)
class Spot:
    """A place as it is at commit. What was said before ends with the message `leaf_id`.

    `answer` is the message that is gone on with: `prefix` what it says, for a model that can go on from that, else
    `then` is what the model is told after it.
    """

    leaf_id: str | None
    answer: Message | None = None
    prefix: str = ""
    then: str = ""


async def find(
    connection: AsyncConnection, principal: Principal, conversation_id: str, place: Place | None, *, prefix: bool
) -> Spot:
    """Until the transaction ends nobody else finds a place in that conversation. None: after its current leaf.

    `prefix` says whether the model can go on from a text. Raises `NotFound`, `Invalid` and `Conflict`.
    """
    conversation = await store.conversation(connection, conversation_id, lock=True)
    authorize(principal, "chat", owner_id=conversation.principal_id)
    match place:
        case After(message_id):
            return Spot(message_id and (await _finished(connection, conversation, message_id)).id)
        case Again(question_id):
            question = await _finished(connection, conversation, question_id)
            if question.role != "user":
                raise Invalid("This message answers no question.", code="no_question")
            return Spot(question.id)
        case Onward(answer_id):
            answer = await _finished(connection, conversation, answer_id)
            await _check_interrupted(connection, answer)
            return _onward(answer, prefix=prefix)
        case None:
            leaf_id = conversation.leaf_id
            return Spot(leaf_id and (await _finished(connection, conversation, leaf_id)).id)


async def again(connection: AsyncConnection, row: Response, *, prefix: bool) -> Spot:
    """Where a stored response was put."""
    if row.message_id is None:
        return Spot(None)
    answer = await store.message(connection, row.message_id)
    return _onward(answer, prefix=prefix) if row.ask.get("onward") else Spot(answer.parent_id)


def _onward(answer: Message, *, prefix: bool) -> Spot:
    if not answer.text:
        return Spot(answer.parent_id, answer)
    if prefix:
        return Spot(answer.parent_id, answer, prefix=answer.text)
    return Spot(answer.id, answer, then=GO_ON)


async def _finished(connection: AsyncConnection, conversation: Conversation, message_id: str) -> Message:
    message = await store.message(connection, message_id)
    if message.conversation_id != conversation.id:
        raise NotFound("There is no such message in this conversation.", code="message_not_found")
    if message.status in _RUNNING:
        raise Conflict(
            "An answer is being made here: wait for its end, or stop it.",
            code="conversation_busy",
            param="conversation",
        )
    return message


async def _check_interrupted(connection: AsyncConnection, answer: Message) -> None:
    if answer.role != "assistant":
        raise Invalid("Only an answer can be continued.", code="not_an_answer")
    if answer.status == "completed":
        raise Conflict("This answer is complete; there is nothing to continue.", code="not_interrupted")
    if await store.children(connection, [answer.id]):
        raise Conflict(
            "Messages follow this answer, which may not change under them; regenerate it instead.",
            code="answer_followed",
        )
