package helio

import (
	"encoding/json"
	"time"
)

// Status says which outcome an error is. Each is an error itself, for errors.Is(err, helio.RateLimited).
type Status int32

// The outcomes; docs/errors.md says when each comes. The set is open.
const (
	InvalidArgument Status = -1
	InvalidUTF8     Status = -2
	InvalidJSON     Status = -3
	Unsupported     Status = -4
	Reentrant       Status = -5
	ShutDown        Status = -6
	Forked          Status = -7
	Busy            Status = -8
	Timeout         Status = -9
	Cancelled       Status = -10
	DNS             Status = -20
	Connect         Status = -21
	TLS             Status = -22
	Proxy           Status = -23
	Network         Status = -24
	Protocol        Status = -30
	Truncated       Status = -31
	TooLarge        Status = -32
	BadRequest      Status = -40
	Authentication  Status = -41
	Permission      Status = -42
	NotFound        Status = -43
	RateLimited     Status = -44
	QuotaExceeded   Status = -45
	ContextLength   Status = -46
	ContentFiltered Status = -47
	Overloaded      Status = -48
	Server          Status = -49
	Internal        Status = -99
)

// String is like "HELIO_ERR_TIMEOUT".
func (s Status) String() string { return statusName(s) }

// Error is the same.
func (s Status) Error() string { return s.String() }

// Error says why a call failed: what happened, where, and what to do. It holds no key.
type Error struct {
	Status  Status
	Message string
	// Code is the server's code; of Timeout which deadline it was: "connect", "first_event", "idle" or "total".
	Code string
	// Type is the server's type of error.
	Type string
	// HTTPStatus is 0 before a response.
	HTTPStatus int
	// Body is what the server said, its first MiB.
	Body string
	// Report is the evidence; nil if nothing was sent.
	Report json.RawMessage
	// Completion is the answer as far as it had come; nil if nothing had.
	Completion *Completion

	retryAfterMs int64
	cause        error
}

func (e *Error) Error() string { return e.Status.String() + ": " + e.Message }

// RetryAfter is how long to wait before another try. false: another try makes no sense.
func (e *Error) RetryAfter() (time.Duration, bool) {
	return time.Duration(max(e.retryAfterMs, 0)) * time.Millisecond, e.retryAfterMs >= 0
}

// Is tells whether the error is of this Status.
func (e *Error) Is(target error) bool {
	status, ok := target.(Status)
	return ok && status == e.Status
}

// Unwrap is why the context ended, where that has cancelled the request.
func (e *Error) Unwrap() error { return e.cause }
