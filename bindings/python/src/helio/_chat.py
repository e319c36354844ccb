"""A conversation as the library keeps it, and values out of JSON."""

import weakref
from ctypes import byref, c_void_p
from typing import Optional, Union

from ._answers import Completion
from ._errors import HelioError, body_of, check
from ._native import OK, lib, taken


class Chat:
    """The messages of a conversation. Belongs to no client; one thread at a time uses it."""

    def __init__(self) -> None:
        chat = c_void_p()
        check(lib.helio_chat_create(byref(chat)))
        self._chat = chat
        weakref.finalize(self, lib.helio_chat_free, chat).atexit = False

    def add(self, role: str, text: str) -> None:
        """Add a message that is a text; of "system", "developer", "user" or "assistant"."""
        body = text.encode()
        self._check(lib.helio_chat_add(self._chat, role.encode(), body, len(body)))

    def add_json(self, message: object) -> None:
        """Add a message of any kind, or a list of them, all or none."""
        self._check(lib.helio_chat_add_json(self._chat, body_of(message)))

    def add_reply(self, completion: Union[Completion, str]) -> None:
        """Add the assistant's message of an answer as servers want it back: tool calls, reasoning and signatures included."""
        text = completion.data if isinstance(completion, Completion) else completion
        self._check(lib.helio_chat_add_reply(self._chat, text.encode()))

    def add_tool_result(self, tool_call_id: str, text: str) -> None:
        """Add what a tool answered."""
        body = text.encode()
        self._check(lib.helio_chat_add_tool_result(self._chat, tool_call_id.encode(), body, len(body)))

    def remove(self, first: int, count: int) -> None:
        """Remove messages, from the place of the first one."""
        self._check(lib.helio_chat_remove(self._chat, first, count))

    def request(self, parameters: object = None) -> str:
        """The body of a request: these parameters, and the messages behind them."""
        body = c_void_p()
        text = None if parameters is None else body_of(parameters)
        self._check(lib.helio_chat_request(self._chat, text, byref(body)))
        return taken(body) or ""

    def __len__(self) -> int:
        count: int = lib.helio_chat_count(self._chat)
        return count

    def _check(self, status: int) -> None:
        if status != OK:
            raise HelioError.of(status, lib.helio_chat_error(self._chat))  # it stays the chat's


def json_get(document: str, pointer: str) -> Optional[str]:
    """One value by its JSON Pointer (RFC 6901); a string comes out unescaped, anything else as it is written. None: nothing is
    there. For numbers whose digits json.loads would not keep."""
    value = c_void_p()
    body = document.encode()
    status = lib.helio_json_get(body, len(body), pointer.encode(), byref(value))
    if status == -43:
        return None
    check(status)
    return taken(value)
