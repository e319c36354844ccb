"""What can go wrong: a class for each status, all of them HelioError."""

import ctypes
import json
from ctypes import byref, c_size_t
from typing import Any, ClassVar, Optional, Type

from ._answers import Completion
from ._native import lib, text_at


class HelioError(Exception):
    """Why a call failed: what happened, where, and what to do. Holds no key."""

    status: int
    """The number of the status, negative."""
    status_name: str
    """Like "HELIO_ERR_TIMEOUT"."""
    message: str
    http_status: int
    """0 before a response."""
    code: Optional[str]
    """The server's code; of a Timeout which deadline it was: "connect", "first_event", "idle" or "total"."""
    type: Optional[str]
    """The server's type."""
    body: Optional[str]
    """What the server said, its first MiB."""
    retry_after_ms: int
    """Milliseconds to wait before another try; -1: another try makes no sense."""
    report: Optional[str]
    """The evidence, JSON; None if nothing was sent."""
    completion: Optional[Completion]
    """The answer as far as it had come."""

    _by_status: "ClassVar[dict[int, Type[HelioError]]]" = {}
    _status: ClassVar[int] = 0

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        HelioError._by_status.setdefault(cls._status, cls)

    def __str__(self) -> str:
        return f"{self.status_name}: {self.message}"

    @staticmethod
    def of(status: int, error: Optional[int] = None, completion: Optional[Completion] = None) -> "HelioError":
        """The error of a status, with what the library's own error says. It is copied, and not freed."""
        made = HelioError._by_status.get(status, HelioError)()
        made.status, made.status_name = status, lib.helio_status_name(status).decode()
        length = c_size_t()

        def told(function: str) -> Optional[str]:
            address = getattr(lib, function)(error, byref(length))
            return text_at(address, length.value)

        made.message = told("helio_error_message") or f"the call failed with {made.status_name}"
        made.code, made.type = told("helio_error_code"), told("helio_error_type")
        made.body, made.report = told("helio_error_body"), told("helio_error_report")
        made.http_status = lib.helio_error_http_status(error)
        made.retry_after_ms = lib.helio_error_retry_after_ms(error)
        made.completion = completion
        made.args = (made.message,)
        return made


def check(status: int, error: Optional[ctypes.c_void_p] = None) -> None:
    """Raise what a call that failed has given. Its error is freed."""
    if status == 0:
        return
    raised = HelioError.of(status, error.value if error else None)
    if error:
        lib.helio_error_free(error)
    raise raised


def body_of(request: object) -> bytes:
    """The JSON of a request or config: a str or bytes is JSON already and goes out as it is."""
    if isinstance(request, bytes):
        return request
    if isinstance(request, str):
        return request.encode()
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()


class InvalidArgument(HelioError):
    """The host's mistake: an unknown config key, a wrong type, a bad URL."""

    _status = -1


class InvalidUtf8(HelioError):
    """A body or config is not UTF-8."""

    _status = -2


class InvalidJson(HelioError):
    """A body or config is not one JSON object."""

    _status = -3


class Unsupported(HelioError):
    """A setting that this version does not have."""

    _status = -4


class Reentrant(HelioError):
    """Called where it would wait for itself."""

    _status = -5


class ShutDown(HelioError):
    """The client is closed."""

    _status = -6


class Forked(HelioError):
    """A client of the parent was used in a forked child."""

    _status = -7


class Busy(HelioError):
    """limits.max_in_flight and limits.max_queued are reached."""

    _status = -8


class Timeout(HelioError):
    """A deadline passed; `code` says which."""

    _status = -9


class Cancelled(HelioError):
    """The request was cancelled."""

    _status = -10


class DnsError(HelioError):
    """The server's name has no address."""

    _status = -20


class ConnectError(HelioError):
    """No TCP connection."""

    _status = -21


class TlsError(HelioError):
    """No TLS: certificate, version, alert, or no TLS at all."""

    _status = -22


class ProxyError(HelioError):
    """The proxy refused or failed."""

    _status = -23


class NetworkError(HelioError):
    """The connection broke before the server began to answer."""

    _status = -24


class ProtocolError(HelioError):
    """The answer is not what the protocol says."""

    _status = -30


class Truncated(HelioError):
    """The answer broke off; `completion` has what had come."""

    _status = -31


class TooLarge(HelioError):
    """A limit of the config was passed."""

    _status = -32


class BadRequest(HelioError):
    """The server calls the request wrong."""

    _status = -40


class AuthenticationError(HelioError):
    """No key or a wrong one."""

    _status = -41


class PermissionDenied(HelioError):
    """The key may not do this."""

    _status = -42


class NotFound(HelioError):
    """No such endpoint or model; of json_get: nothing is there."""

    _status = -43


class RateLimited(HelioError):
    """Too many requests; `retry_after_ms` says how long to wait."""

    _status = -44


class QuotaExceeded(HelioError):
    """Credits or quota are used up."""

    _status = -45


class ContextLength(HelioError):
    """The request is longer than the model's context."""

    _status = -46


class ContentFiltered(HelioError):
    """A content filter refused the request."""

    _status = -47


class Overloaded(HelioError):
    """The server has too much to do."""

    _status = -48


class ServerError(HelioError):
    """The server failed."""

    _status = -49


class InternalError(HelioError):
    """A fault inside the library."""

    _status = -99
