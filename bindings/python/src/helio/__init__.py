"""Chat completions from large language models: complete, stream, cancel. A binding of libhelio.

    with helio.Client() as client:
        for chunk in client.stream({"model": "gpt-4o-mini", "messages": [...], "stream": True}):
            print(chunk.text, end="")
"""

from ._answers import Chunk, Completion
from ._asyncio import AsyncClient, AsyncStream
from ._cancellation import Cancellation
from ._chat import Chat, json_get
from ._errors import (
    AuthenticationError,
    BadRequest,
    Busy,
    Cancelled,
    ConnectError,
    ContentFiltered,
    ContextLength,
    DnsError,
    Forked,
    HelioError,
    InternalError,
    InvalidArgument,
    InvalidJson,
    InvalidUtf8,
    NetworkError,
    NotFound,
    Overloaded,
    PermissionDenied,
    ProtocolError,
    ProxyError,
    QuotaExceeded,
    RateLimited,
    Reentrant,
    ServerError,
    ShutDown,
    Timeout,
    TlsError,
    TooLarge,
    Truncated,
    Unsupported,
)
from ._native import version
from ._threaded import Client, Stream

__version__ = "0.1.0"
__all__ = [
    "AsyncClient",
    "AsyncStream",
    "AuthenticationError",
    "BadRequest",
    "Busy",
    "Cancellation",
    "Cancelled",
    "Chat",
    "Chunk",
    "Client",
    "Completion",
    "ConnectError",
    "ContentFiltered",
    "ContextLength",
    "DnsError",
    "Forked",
    "HelioError",
    "InternalError",
    "InvalidArgument",
    "InvalidJson",
    "InvalidUtf8",
    "NetworkError",
    "NotFound",
    "Overloaded",
    "PermissionDenied",
    "ProtocolError",
    "ProxyError",
    "QuotaExceeded",
    "RateLimited",
    "Reentrant",
    "ServerError",
    "ShutDown",
    "Stream",
    "Timeout",
    "TlsError",
    "TooLarge",
    "Truncated",
    "Unsupported",
    "json_get",
    "version",
]
