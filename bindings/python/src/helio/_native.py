"""The C functions, as ctypes sees them."""

import ctypes
import ctypes.util
import os
import pathlib
import sys
from ctypes import POINTER, Structure, c_char_p, c_int32, c_int64, c_size_t, c_ssize_t, c_uint32, c_uint64, c_void_p
from typing import Optional

ABI_VERSION = 1
WAIT_FOREVER = 0xFFFFFFFF
DELIVERY_PULL = 1
RESPONSE, CHUNK, DONE = 1, 2, 3
OK, SHUT_DOWN = 0, -6


class ClientOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("config", c_char_p),
        ("config_len", c_size_t),
        ("log_fn", c_void_p),
        ("log_user_data", c_void_p),
        ("log_level", c_int32),
        ("reserved0", c_uint32),
        ("notify_fn", c_void_p),
        ("notify_user_data", c_void_p),
    ]


class RequestOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("delivery", c_uint32),
        ("id", c_uint64),
        ("on_event", c_void_p),
        ("user_data", c_void_p),
        ("overrides", c_char_p),
        ("overrides_len", c_size_t),
    ]


class Event(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_uint32),
        ("request", c_uint64),
        ("user_data", c_void_p),
        ("data", c_void_p),
        ("len", c_size_t),
        ("text", c_void_p),
        ("text_len", c_size_t),
        ("reasoning", c_void_p),
        ("reasoning_len", c_size_t),
        ("status", c_int32),
        ("http_status", c_int32),
        ("error", c_void_p),
        ("report", c_void_p),
        ("report_len", c_size_t),
    ]


_FUNCTIONS = {
    "helio_client_options_init": (None, [POINTER(ClientOptions), c_uint32]),
    "helio_client_create": (c_int32, [POINTER(ClientOptions), POINTER(c_void_p), POINTER(c_void_p)]),
    "helio_client_set_api_key": (c_int32, [c_void_p, c_char_p, c_size_t]),
    "helio_client_prewarm": (c_int32, [c_void_p]),
    "helio_client_stats": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "helio_client_shutdown": (c_int32, [c_void_p]),
    "helio_client_destroy": (c_int32, [c_void_p, c_uint32]),
    "helio_client_release": (None, [c_void_p]),
    "helio_next_event": (c_int32, [c_void_p, c_uint32, POINTER(POINTER(Event))]),
    "helio_event_release": (None, [POINTER(Event)]),
    "helio_wait_handle": (c_ssize_t, [c_void_p]),
    "helio_version_string": (c_char_p, []),
    "helio_abi_version": (c_uint32, []),
    "helio_status_name": (c_char_p, [c_int32]),
    "helio_request_options_init": (None, [POINTER(RequestOptions), c_uint32]),
    "helio_reserve": (c_uint64, [c_void_p]),
    "helio_submit": (
        c_int32,
        [c_void_p, c_char_p, c_size_t, POINTER(RequestOptions), POINTER(c_uint64), POINTER(c_void_p)],
    ),
    "helio_cancel": (c_int32, [c_void_p, c_uint64]),
    "helio_buffer_data": (c_void_p, [c_void_p]),
    "helio_buffer_size": (c_size_t, [c_void_p]),
    "helio_buffer_free": (None, [c_void_p]),
    "helio_error_status": (c_int32, [c_void_p]),
    "helio_error_http_status": (c_int32, [c_void_p]),
    "helio_error_retry_after_ms": (c_int64, [c_void_p]),
    "helio_error_message": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "helio_error_code": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "helio_error_type": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "helio_error_body": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "helio_error_report": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "helio_error_free": (None, [c_void_p]),
    "helio_chat_create": (c_int32, [POINTER(c_void_p)]),
    "helio_chat_free": (None, [c_void_p]),
    "helio_chat_add": (c_int32, [c_void_p, c_char_p, c_char_p, c_size_t]),
    "helio_chat_add_json": (c_int32, [c_void_p, c_char_p]),
    "helio_chat_add_reply": (c_int32, [c_void_p, c_char_p]),
    "helio_chat_add_tool_result": (c_int32, [c_void_p, c_char_p, c_char_p, c_size_t]),
    "helio_chat_count": (c_size_t, [c_void_p]),
    "helio_chat_remove": (c_int32, [c_void_p, c_size_t, c_size_t]),
    "helio_chat_request": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "helio_chat_error": (c_void_p, [c_void_p]),
    "helio_json_get": (c_int32, [c_char_p, c_size_t, c_char_p, POINTER(c_void_p)]),
}


def _load() -> ctypes.CDLL:
    """The library of $HELIO_LIBRARY, else the one beside this file, else the one that the system finds."""
    name = {"darwin": "libhelio.dylib", "win32": "helio.dll"}.get(sys.platform, "libhelio.so.1")
    beside = pathlib.Path(__file__).with_name(name)
    named = os.environ.get("HELIO_LIBRARY") or (str(beside) if beside.exists() else None)
    try:
        library = ctypes.CDLL(named or ctypes.util.find_library("helio") or name)
    except OSError as error:
        raise ImportError(f"{name} was not found: install helio, or say in HELIO_LIBRARY where it is ({error})") from error
    for function, (result, arguments) in _FUNCTIONS.items():
        declared = getattr(library, function)
        declared.restype, declared.argtypes = result, arguments
    if library.helio_abi_version() != ABI_VERSION:
        raise ImportError(f"{name} has interface {library.helio_abi_version()}; this package is for {ABI_VERSION}")
    return library


lib = _load()


def text_at(address: Optional[int], length: int) -> Optional[str]:
    """A copy of the library's UTF-8."""
    return None if address is None else ctypes.string_at(address, length).decode()


def taken(buffer: c_void_p) -> Optional[str]:
    """The text of a buffer, which is freed."""
    if not buffer:
        return None
    text = text_at(lib.helio_buffer_data(buffer), lib.helio_buffer_size(buffer))
    lib.helio_buffer_free(buffer)
    return text


def version() -> str:
    """The version of the library that is loaded."""
    text: bytes = lib.helio_version_string()
    return text.decode()
