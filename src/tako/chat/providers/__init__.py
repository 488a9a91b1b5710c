"""The upstreams that can answer: any OpenAI-compatible address, and the built-in local model."""
