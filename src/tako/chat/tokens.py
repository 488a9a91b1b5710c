"""How many tokens a text has, when nobody can be asked."""

# Tokens around each message of a prompt: role markers and separators of the usual chat templates.
PER_MESSAGE = 5


def estimate(text: str) -> int:
    """A cautious guess: a token for each character outside ASCII, one for three characters inside. An ordinary
    tokenizer needs fewer for most text, so that what is estimated to fit does fit."""
    ascii_characters = len(text.encode("ascii", "ignore"))
    return len(text) - ascii_characters + (ascii_characters + 2) // 3
