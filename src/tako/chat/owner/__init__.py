"""What an owner decides about the chat: which upstreams answer, which models are offered to whom; and what it costs."""
