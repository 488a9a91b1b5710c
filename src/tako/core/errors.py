"""The kinds of failure that an app can report, mapped to HTTP once in `core.http`.

TakoError
├── Invalid        400  the request cannot be right, whoever sends it
│   └── Unprocessable 422  well formed, but it contradicts an earlier one
├── Unauthenticated 401  nobody, or nobody that we know
├── Denied         403  known, but not allowed (only where the thing itself is no secret)
├── NotFound       404  not there, or none of your business
├── Conflict       409  right later, or right for somebody else
├── TooLarge       413  more than a limit that we state
├── TooMany        429  right, but slower
├── Misconfigured   -   an operator's mistake; says what to do next
└── Unavailable    503  our side cannot now
"""


class TakoError(Exception):
    """A failure that a person or a program can act on.

    `message` is one or two sentences for whoever reads it; `code` is stable and for programs;
    `param` names the field at fault.
    """

    status = 500
    kind = "server_error"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param


class Invalid(TakoError):
    status = 400
    kind = "invalid_request_error"


class Unprocessable(Invalid):
    status = 422


class Unauthenticated(TakoError):
    status = 401
    kind = "authentication_error"


class Denied(TakoError):
    status = 403
    kind = "permission_error"


class NotFound(TakoError):
    status = 404
    kind = "invalid_request_error"


class Conflict(TakoError):
    status = 409
    kind = "invalid_request_error"


class TooLarge(TakoError):
    status = 413
    kind = "invalid_request_error"


class TooMany(TakoError):
    """`retry_after` is in seconds."""

    status = 429
    kind = "rate_limit_error"

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, code=code, param=param)
        self.retry_after = retry_after


class Unavailable(TakoError):
    status = 503
    kind = "server_error"


class Misconfigured(TakoError):
    """Raised before anything is served; its message tells the operator the next step."""
