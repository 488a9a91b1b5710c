"""The chat over HTTP: OpenAI's Responses and Conversations under /v1."""
