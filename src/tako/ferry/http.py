"""/api/owner/ferry: a migration beside this site, for admins only."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request

from tako.core.accounts.authenticate import Authenticator
from tako.core.accounts.principal import authorize
from tako.core.http import Receive, Scope, Send
from tako.core.sse import Reader, Wheel
from tako.ferry.watch import Watch
from tako.ferry.wire import FerryObject

FEED = "/api/owner/ferry/feed"
PATHS: dict[str, Any] = {
    FEED: {
        "get": {
            "summary": "That the migration has gone on: never how far. For admins only",
            "operationId": "follow_ferry",
            "tags": ["owner"],
            "responses": {
                "200": {
                    "description": "Server-sent events: `changed`, twice a second at most, with a Hint",
                    "content": {"text/event-stream": {"schema": {"type": "string"}}},
                }
            },
        }
    }
}


def router(watch: Watch, authenticator: Authenticator) -> APIRouter:
    """The route that is no stream."""
    routes = APIRouter(prefix="/api/owner", tags=["owner"])

    @routes.get("/ferry", summary="How far a migration by `tako ferry` is, as its target says or last said")
    async def ferry(request: Request) -> FerryObject:
        authorize(await authenticator.principal(request.scope), "admin")
        return FerryObject.of(await watch.read(), watch.file)

    return routes


@dataclass(frozen=True, slots=True)
class FerryFeed:
    """The stream of hints, as long as which somebody looks."""

    watch: Watch
    authenticator: Authenticator
    wheel: Wheel

    def serves(self, scope: Scope) -> bool:
        return (scope["method"], scope["path"]) == ("GET", FEED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self.authenticator.principal(scope)
        authorize(principal, "admin")
        async with self.watch.looking() as follower:
            reader = Reader(follower, principal, scope, send, for_admins=True)
            with self.wheel.watching(reader):
                await reader.run()
