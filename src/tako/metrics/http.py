"""/metrics, for whoever has the token."""

import secrets
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from tako.core.errors import NotFound, Unauthenticated

if TYPE_CHECKING:
    from tako.metrics.prometheus import Metrics


def router(metrics: "Metrics | None", token: str | None) -> APIRouter:
    """The route, which is closed to everybody without a token: behind a proxy on the same machine, a visitor cannot be
    told from a scraper."""
    routes = APIRouter()

    @routes.get("/metrics", include_in_schema=False)
    def scrape(request: Request) -> Response:
        if metrics is None or token is None:
            raise NotFound(
                "This site counts nothing for Prometheus; its owner can set metrics_token.", code="no_metrics"
            )
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(given.strip().encode(), token.encode()):
            raise Unauthenticated('Send "Authorization: Bearer …" with the site\'s metrics_token.', code="bad_token")
        body, content_type = metrics.text(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})

    return routes
