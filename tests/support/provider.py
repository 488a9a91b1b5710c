"""A scripted provider inside the process: what each question brings is set by the test, step by step."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from tako.chat.providers.base import Finish, Model, Piece, Prompt, Text, UpstreamError, Usage


@dataclass(frozen=True)
class Gate:
    """Nothing more until the test opens it."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)


Step = Piece | Gate | UpstreamError


def says(*texts: str, tokens: tuple[int, int] = (7, 11)) -> list[Step]:
    """An answer that comes to its end."""
    return [*map(Text, texts), Usage(*tokens), Finish("stop")]


class Scripted:
    """`script` answers every question, unless `then` holds scripts for the next ones. Titles come from `titles`."""

    name = "scripted"

    def __init__(self) -> None:
        self.script: Sequence[Step] = says("Hello")
        self.then: list[Sequence[Step]] = []
        self.titles: Sequence[Step] = says("A title")
        self.slots = 0  # of the model `plain`
        self.prompts: list[Prompt] = []
        self.title_prompts: list[Prompt] = []

    def models(self) -> Sequence[Model]:
        return [
            Model("plain", "Plain", self.name, 10_000, 1_000, slots=self.slots),
            Model("prefixing", "Prefixing", self.name, 10_000, 1_000, prefix=True),
            Model("tiny", "Tiny", self.name, 200, 50),
            Model("demo", "Demo", self.name, 10_000, 1_000, demo=True),
        ]

    async def stream(self, prompt: Prompt) -> AsyncIterator[list[Piece]]:
        is_title = prompt.turns[0].role == "system" and prompt.turns[0].text.startswith("You name conversations")
        (self.title_prompts if is_title else self.prompts).append(prompt)
        for step in self.titles if is_title else self.then.pop(0) if self.then else self.script:
            match step:
                case Gate():
                    step.reached.set()
                    await step.opened.wait()
                case UpstreamError():
                    raise step
                case _:
                    yield [step]

    async def count_tokens(self, model: str, text: str) -> int | None:
        return len(text.split())

    async def close(self) -> None:
        """Nothing is open."""
