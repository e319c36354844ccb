package helio

/*
#include <helio.h>
#include <stdlib.h>
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Chat keeps the messages of a conversation. It belongs to no client; one goroutine at a time uses it.
type Chat struct{ chat *C.helio_chat }

// NewChat makes a conversation without messages.
func NewChat() *Chat {
	chat := &Chat{}
	C.helio_chat_create(&chat.chat)
	runtime.AddCleanup(chat, func(chat *C.helio_chat) { C.helio_chat_free(chat) }, chat.chat)
	return chat
}

// Add adds a text of "system", "developer", "user" or "assistant".
func (c *Chat) Add(role, text string) error {
	cRole := C.CString(role)
	defer C.free(unsafe.Pointer(cRole))
	start, length := lent([]byte(text))
	return c.check(C.helio_chat_add(c.chat, cRole, start, length))
}

// AddJSON adds a message of any kind, or a list of them, all or none.
func (c *Chat) AddJSON(message any) error {
	text, err := body(message)
	if err != nil {
		return err
	}
	cText := C.CString(string(text))
	defer C.free(unsafe.Pointer(cText))
	return c.check(C.helio_chat_add_json(c.chat, cText))
}

// AddReply adds the assistant's message of an answer as servers want it back: tool calls, reasoning and signatures included.
func (c *Chat) AddReply(completion *Completion) error {
	cText := C.CString(string(completion.Data))
	defer C.free(unsafe.Pointer(cText))
	return c.check(C.helio_chat_add_reply(c.chat, cText))
}

// AddToolResult adds what a tool answered.
func (c *Chat) AddToolResult(toolCallID, text string) error {
	cID := C.CString(toolCallID)
	defer C.free(unsafe.Pointer(cID))
	start, length := lent([]byte(text))
	return c.check(C.helio_chat_add_tool_result(c.chat, cID, start, length))
}

// Len is how many messages there are.
func (c *Chat) Len() int { return int(C.helio_chat_count(c.chat)) }

// Remove removes messages, from the place of the first one.
func (c *Chat) Remove(first, count int) error {
	return c.check(C.helio_chat_remove(c.chat, C.size_t(first), C.size_t(count)))
}

// Request is the body of a request: these parameters (nil: none), and the messages behind them.
func (c *Chat) Request(parameters any) ([]byte, error) {
	var cText *C.char
	if parameters != nil {
		text, err := body(parameters)
		if err != nil {
			return nil, err
		}
		cText = C.CString(string(text))
		defer C.free(unsafe.Pointer(cText))
	}
	var buffer *C.helio_buffer
	if err := c.check(C.helio_chat_request(c.chat, cText, &buffer)); err != nil {
		return nil, err
	}
	return taken(buffer), nil
}

// check gives the chat's error, which stays the chat's.
func (c *Chat) check(status C.helio_status) error {
	defer runtime.KeepAlive(c)
	if status == C.HELIO_OK {
		return nil
	}
	return copyError(Status(status), C.helio_chat_error(c.chat))
}

// Get is one value of a JSON text by its JSON Pointer (RFC 6901): a string comes out unescaped, anything else as it is written.
// false: nothing is there.
func Get(document []byte, pointer string) (string, bool, error) {
	cPointer := C.CString(pointer)
	defer C.free(unsafe.Pointer(cPointer))
	start, length := lent(document)
	var value *C.helio_buffer
	switch status := C.helio_json_get(start, length, cPointer, &value); Status(status) {
	case 0:
		return string(taken(value)), true, nil
	case NotFound:
		return "", false, nil
	default:
		return "", false, copyError(Status(status), nil)
	}
}
