package helio

/*
#cgo pkg-config: helio
#include <helio.h>
#include <stdlib.h>
#include <string.h>
*/
import "C"

import "unsafe"

const (
	abiVersion = 1
	forever    = C.uint32_t(0xFFFFFFFF)
)

// native is an address that Go hands to C. cgo copies nothing: texts of Go are copied to C memory where C keeps the
// pointer in a struct, and lent for the call elsewhere.
type native = *C.helio_client

func goText(start *C.char, length C.size_t) string {
	if start == nil {
		return ""
	}
	return string(unsafe.Slice((*byte)(unsafe.Pointer(start)), int(length)))
}

// goJSON tells absent JSON (nil) from a text.
func goJSON(start *C.char, length C.size_t) []byte {
	if start == nil {
		return nil
	}
	return C.GoBytes(unsafe.Pointer(start), C.int(length))
}

// cText is a copy in C memory, to be freed.
func cText(text []byte) (*C.char, C.size_t) {
	return (*C.char)(C.CBytes(text)), C.size_t(len(text))
}

// lent lends bytes to C for one call.
func lent(text []byte) (*C.char, C.size_t) {
	if len(text) == 0 {
		text = []byte{0}
		return (*C.char)(unsafe.Pointer(&text[0])), 0
	}
	return (*C.char)(unsafe.Pointer(&text[0])), C.size_t(len(text))
}

func taken(buffer *C.helio_buffer) []byte {
	defer C.helio_buffer_free(buffer)
	return goJSON(C.helio_buffer_data(buffer), C.helio_buffer_size(buffer))
}

// Version is the version of the library that is loaded.
func Version() string { return C.GoString(C.helio_version_string()) }

func create(config []byte) (native, error) {
	if version := C.helio_abi_version(); version != abiVersion {
		return nil, &Error{Status: Unsupported, Message: "libhelio has another interface than this package is made for"}
	}
	var options C.helio_client_options
	C.helio_client_options_init(&options, C.uint32_t(unsafe.Sizeof(options)))
	if config != nil {
		options.config, options.config_len = cText(config)
		defer C.free(unsafe.Pointer(options.config))
	}
	var client native
	var failure *C.helio_error
	if status := C.helio_client_create(&options, &client, &failure); status != C.HELIO_OK {
		return nil, newError(Status(status), failure)
	}
	return client, nil
}

func reserve(client native) uint64 { return uint64(C.helio_reserve(client)) }

func submit(client native, id uint64, request, overrides []byte) error {
	var options C.helio_request_options
	C.helio_request_options_init(&options, C.uint32_t(unsafe.Sizeof(options)))
	options.delivery = C.HELIO_DELIVERY_PULL
	options.id = C.helio_request_id(id)
	if overrides != nil {
		options.overrides, options.overrides_len = cText(overrides)
		defer C.free(unsafe.Pointer(options.overrides))
	}
	body, length := lent(request)
	var failure *C.helio_error
	if status := C.helio_submit(client, body, length, &options, nil, &failure); status != C.HELIO_OK {
		return newError(Status(status), failure)
	}
	return nil
}

func cancel(client native, id uint64) { C.helio_cancel(client, C.helio_request_id(id)) }
func shutdown(client native)          { C.helio_client_shutdown(client) }
func destroy(client native)           { C.helio_client_destroy(client, forever) }

func setAPIKey(client native, key string) error {
	if key == "" {
		return statusError(C.helio_client_set_api_key(client, nil, 0))
	}
	text, length := lent([]byte(key))
	return statusError(C.helio_client_set_api_key(client, text, length))
}

func prewarm(client native) error { return statusError(C.helio_client_prewarm(client)) }

func stats(client native) ([]byte, error) {
	var buffer *C.helio_buffer
	if status := C.helio_client_stats(client, &buffer); status != C.HELIO_OK {
		return nil, statusError(status)
	}
	return taken(buffer), nil
}

// told is what an event said: a chunk, or the end.
type told struct {
	chunk      Chunk
	isEnd      bool
	completion *Completion
	err        error
}

// next waits for an event. ok is false when none will come any more.
func next(client native) (id uint64, what *told, ok bool) {
	var event *C.helio_event
	if status := C.helio_next_event(client, forever, &event); status != C.HELIO_OK {
		return 0, nil, false
	}
	if event == nil {
		return 0, nil, true
	}
	defer C.helio_event_release(event)
	switch event.kind {
	case C.HELIO_EVENT_CHUNK:
		what = &told{chunk: Chunk{
			Text:      goText(event.text, event.text_len),
			Reasoning: goText(event.reasoning, event.reasoning_len),
			Data:      goJSON(event.data, event.len),
		}}
	case C.HELIO_EVENT_DONE:
		what = &told{isEnd: true}
		if event.data != nil {
			what.completion = &Completion{
				Text:      goText(event.text, event.text_len),
				Reasoning: goText(event.reasoning, event.reasoning_len),
				Data:      goJSON(event.data, event.len),
				Report:    goJSON(event.report, event.report_len),
			}
		}
		if event.status != C.HELIO_OK {
			failure := copyError(Status(event.status), event.error)
			failure.Completion = what.completion
			what.err = failure
		}
	}
	return uint64(event.request), what, true
}

// newError is the error that an out-parameter gave, which is freed.
func newError(status Status, failure *C.helio_error) *Error {
	defer C.helio_error_free(failure)
	return copyError(status, failure)
}

func statusError(status C.helio_status) error {
	if status == C.HELIO_OK {
		return nil
	}
	return copyError(Status(status), nil)
}

func copyError(status Status, failure *C.helio_error) *Error {
	var lengths [5]C.size_t
	message := C.helio_error_message(failure, &lengths[0])
	code := C.helio_error_code(failure, &lengths[1])
	kind := C.helio_error_type(failure, &lengths[2])
	body := C.helio_error_body(failure, &lengths[3])
	report := C.helio_error_report(failure, &lengths[4])
	told := &Error{
		Status:       status,
		Message:      goText(message, lengths[0]),
		Code:         goText(code, lengths[1]),
		Type:         goText(kind, lengths[2]),
		Body:         goText(body, lengths[3]),
		Report:       goJSON(report, lengths[4]),
		HTTPStatus:   int(C.helio_error_http_status(failure)),
		retryAfterMs: int64(C.helio_error_retry_after_ms(failure)),
	}
	if told.Message == "" {
		told.Message = "the call failed with " + status.String()
	}
	return told
}

func statusName(status Status) string { return C.GoString(C.helio_status_name(C.helio_status(status))) }
