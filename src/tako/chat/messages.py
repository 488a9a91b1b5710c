"""What a person does with messages: ask, have an answer made again or gone on with. The answer is always a background
one: it is made whether or not anybody reads it."""

from dataclasses import replace

from tako.chat import headline, responses, store
from tako.chat.places import Again, Onward
from tako.chat.responses import Ask, Chat
from tako.chat.store import Conversation, Message, Response
from tako.core.accounts.principal import Principal, authorize
from tako.core.errors import Invalid, NotFound


async def begin(chat: Chat, principal: Principal, request: Ask) -> Response:
    """Ask in a new conversation, which has the beginning of the question as its title for now."""
    _check_text(request)
    return await responses.create(chat, principal, replace(request, begin=headline.of_question(request.input[0].text)))


async def ask(chat: Chat, principal: Principal, request: Ask) -> Response:
    """Ask in `request.conversation_id`, at `request.place`."""
    _check_text(request)
    return await responses.create(chat, principal, request)


async def regenerate(chat: Chat, principal: Principal, message_id: str, request: Ask) -> Response:
    """Another answer to the question that this message answers, or is. Without a model: the same one."""
    message, conversation = await find(chat, principal, message_id)
    question_id = message.id if message.role == "user" else message.parent_id
    if question_id is None:
        raise Invalid("This message answers no question.", code="no_question")
    model = request.model or message.model or _default(chat, principal)
    return await responses.create(
        chat, principal, replace(request, model=model, conversation_id=conversation.id, place=Again(question_id))
    )


async def go_on(chat: Chat, principal: Principal, message_id: str, request: Ask) -> Response:
    """A new response, linked to the last one, that fills the same message with what was missing."""
    message, conversation = await find(chat, principal, message_id)
    model = message.model or _default(chat, principal)
    return await responses.create(
        chat, principal, replace(request, model=model, conversation_id=conversation.id, place=Onward(message.id))
    )


async def find(chat: Chat, principal: Principal, message_id: str) -> tuple[Message, Conversation]:
    """Raises `NotFound`, also for what belongs to somebody else."""
    async with chat.db.read() as connection:
        message = await store.message(connection, message_id)
        conversation = await store.conversation(connection, message.conversation_id)
    authorize(principal, "chat:read", owner_id=conversation.principal_id)
    return message, conversation


async def answer_of(chat: Chat, principal: Principal, message_id: str, response_id: str | None) -> Response:
    """The response that fills this message: that one, or the newest. Raises `NotFound`."""
    message, _ = await find(chat, principal, message_id)
    async with chat.db.read() as connection:
        if response_id is None:
            found = await store.newest_response(connection, message.id)
        else:
            found = await store.response(connection, response_id)
    if found is None or found.message_id != message.id:
        raise NotFound("No such answer was made for this message.", code="response_not_found")
    return found


def _check_text(request: Ask) -> None:
    if not request.input or not request.input[0].text.strip():
        raise Invalid("The question is empty.", code="empty_input", param="text")


def _default(chat: Chat, principal: Principal) -> str:
    """The first model that the person may use, for answers of which nobody knows who gave them."""
    models = chat.catalog.models(principal)
    if not models:
        raise NotFound("No model is configured on this site.", code="model_not_found", param="model")
    return models[0].id
