"""The document of the API."""

from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from tests.support.inside import Inside


async def test_the_document_is_valid_openapi_and_names_every_route_of_responses(site: Inside) -> None:
    document = (await site.new_client().get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    validate(document, cls=OpenAPIV31SpecValidator)
    wanted = {
        "/v1/responses": {"post"},
        "/v1/responses/{response_id}": {"get", "delete"},
        "/v1/responses/{response_id}/cancel": {"post"},
        "/v1/responses/{response_id}/input_items": {"get"},
        "/v1/models": {"get"},
        "/v1/conversations": {"get", "post"},
        "/v1/conversations/{conversation_id}/items": {"get", "post"},
    }
    for path, methods in wanted.items():
        assert methods <= set(document["paths"][path])
