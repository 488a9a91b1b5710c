"""Ask a language model; the answer is a durable log that any reader can rejoin."""
