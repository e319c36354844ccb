// Package helio asks large language models for chat completions: complete, stream, cancel. It is a binding of libhelio.
//
// Requests and configs are JSON: a string, []byte or json.RawMessage goes out byte for byte, anything else through
// encoding/json.
package helio

import (
	"context"
	"encoding/json"
	"iter"
	"runtime"
	"sync"
)

// Chunk is one chunk of a stream.
type Chunk struct {
	// Text is what choice 0 says in it; often nothing.
	Text string
	// Reasoning likewise.
	Reasoning string
	// Data is the chunk as the server sent it.
	Data json.RawMessage
}

// Completion is a chat.completion: whole or, in an Error, as far as it had come.
type Completion struct {
	// Text is all that choice 0 says; nothing where it only calls tools.
	Text      string
	Reasoning string
	// Data is the chat.completion.
	Data json.RawMessage
	// Report is the evidence: attempts, times, usage, what the gateway said.
	Report json.RawMessage
}

// Client is for any number of goroutines. Close it; one that is forgotten lets go by itself.
type Client struct {
	core *core
}

// core is what the receiver and the streams know. It does not know the Client, so that this can be collected.
type core struct {
	mutex   sync.Mutex // held while C runs with the client, but for next: none of it blocks
	client  native     // nil: gone
	streams map[uint64]*mailbox
	begun   bool // the receiver
	gone    chan struct{}
}

// New makes a client. config is the JSON of docs/configuration.md; nil: the environment (HELIO_BASE_URL, HELIO_API_KEY). An error is
// an *Error and names the key to change.
func New(config any) (*Client, error) {
	var text []byte
	if config != nil {
		var err error
		if text, err = body(config); err != nil {
			return nil, err
		}
	}
	client, err := create(text)
	if err != nil {
		return nil, err
	}
	made := &Client{&core{client: client, streams: map[uint64]*mailbox{}, gone: make(chan struct{})}}
	runtime.AddCleanup(made, func(core *core) { core.shutdown() }, made.core)
	return made, nil
}

// Complete asks and waits for the whole answer. When the context ends the request is cancelled, also before it was sent. An
// error is an *Error; it is the context's, too, where that was the cause.
func (c *Client) Complete(ctx context.Context, request any, options ...Option) (*Completion, error) {
	stream := c.Stream(ctx, request, options...)
	for _, err := range stream.All() {
		if err != nil {
			return nil, err
		}
	}
	return stream.Completion(), nil
}

// Stream asks, and gives the chunks by All; say "stream": true in the request. It begins at once.
func (c *Client) Stream(ctx context.Context, request any, options ...Option) *Stream {
	stream := &Stream{client: c, ctx: ctx, box: newMailbox()}
	var settings settings
	for _, option := range options {
		option(&settings)
	}
	text, err := body(request)
	if err == nil {
		err = c.core.submit(ctx, stream, text, settings.overrides)
	}
	if err != nil {
		stream.box.put(&told{isEnd: true, err: err})
		return stream
	}
	// A stream that was forgotten is cancelled.
	core, id := c.core, stream.id
	runtime.AddCleanup(stream, func(id uint64) { core.cancel(id) }, id)
	return stream
}

// SetAPIKey makes requests that start later use another key; "": none.
func (c *Client) SetAPIKey(key string) error {
	return c.core.with(func(client native) error { return setAPIKey(client, key) })
}

// Prewarm opens a connection ahead of the first request. It does not wait for it.
func (c *Client) Prewarm() error { return c.core.with(prewarm) }

// Stats gives figures of the client: requests, connections, threads.
func (c *Client) Stats() (json.RawMessage, error) {
	var figures []byte
	err := c.core.with(func(client native) (err error) {
		figures, err = stats(client)
		return err
	})
	return figures, err
}

// Close ends all requests with ShutDown and waits until the client's threads have gone. It may be called on any goroutine, any
// number of times.
func (c *Client) Close() {
	c.core.shutdown()
	<-c.core.gone
	runtime.KeepAlive(c)
}

func (c *Client) String() string   { return "helio.Client" }
func (c *Client) GoString() string { return c.String() }

// Option changes one request.
type Option func(*settings)

type settings struct{ overrides []byte }

// Overrides is config for this one request.
func Overrides(config any) Option {
	return func(settings *settings) {
		// What encoding/json cannot write the library refuses.
		settings.overrides, _ = body(config)
	}
}

func body(value any) ([]byte, error) {
	switch value := value.(type) {
	case string:
		return []byte(value), nil
	case []byte:
		return value, nil
	case json.RawMessage:
		return value, nil
	}
	return json.Marshal(value)
}

// with runs C with the client, unless that is gone.
func (c *core) with(work func(native) error) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.client == nil {
		return &Error{Status: ShutDown, Message: "the client is closed", retryAfterMs: -1}
	}
	return work(c.client)
}

func (c *core) submit(ctx context.Context, stream *Stream, request, overrides []byte) error {
	return c.with(func(client native) error {
		stream.id = reserve(client)
		c.streams[stream.id] = stream.box
		if !c.begun {
			c.begun = true
			go c.receive(client)
		}
		if ctx.Err() != nil {
			cancel(client, stream.id)
		}
		err := submit(client, stream.id, request, overrides)
		if failure, ok := err.(*Error); ok {
			delete(c.streams, stream.id)
			failure.cause = context.Cause(ctx)
		}
		return err
	})
}

func (c *core) cancel(id uint64) {
	_ = c.with(func(client native) error {
		cancel(client, id)
		return nil
	})
}

// shutdown ends all requests. The receiver ends the client when it has handed out their ends.
func (c *core) shutdown() {
	_ = c.with(func(client native) error {
		shutdown(client)
		if !c.begun {
			c.begun = true
			go c.receive(client)
		}
		return nil
	})
}

// receive is the one goroutine that waits in C. It hands events to their streams.
func (c *core) receive(client native) {
	for {
		id, what, ok := next(client)
		if !ok {
			break
		}
		if what == nil {
			continue
		}
		c.mutex.Lock()
		box := c.streams[id]
		if what.isEnd {
			delete(c.streams, id)
		}
		c.mutex.Unlock()
		if box != nil {
			box.put(what)
		}
	}
	c.mutex.Lock()
	c.client = nil
	c.mutex.Unlock()
	destroy(client)
	close(c.gone)
}

// mailbox holds what a stream was told and has not been asked for.
type mailbox struct {
	mutex sync.Mutex
	told  []*told
	came  chan struct{} // holds one token while something is there
}

func newMailbox() *mailbox { return &mailbox{came: make(chan struct{}, 1)} }

func (m *mailbox) put(what *told) {
	m.mutex.Lock()
	m.told = append(m.told, what)
	m.mutex.Unlock()
	select {
	case m.came <- struct{}{}:
	default:
	}
}

func (m *mailbox) take() *told {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if len(m.told) == 0 {
		return nil
	}
	first := m.told[0]
	m.told = m.told[1:]
	return first
}

// Stream is one answer. One goroutine reads it; Cancel is for any.
type Stream struct {
	client *Client // lives as long as its streams
	ctx    context.Context
	id     uint64
	box    *mailbox
	end    *told
}

// All gives the chunks as they come. An error is the last thing that it gives, an *Error. Leaving the loop cancels the request, and so
// does the context.
func (s *Stream) All() iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		for s.end == nil {
			what := s.wait()
			if what.isEnd {
				s.end = what
				if what.err != nil {
					yield(Chunk{}, what.err)
				}
				return
			}
			if !yield(what.chunk, nil) {
				s.Cancel()
				return
			}
		}
	}
}

// wait waits for what comes next; the end of the context cancels, and the end that follows says so.
func (s *Stream) wait() *told {
	done := s.ctx.Done()
	for {
		if what := s.box.take(); what != nil {
			if failure, ok := what.err.(*Error); ok && failure.Status == Cancelled {
				failure.cause = context.Cause(s.ctx)
			}
			return what
		}
		select {
		case <-s.box.came:
		case <-done:
			s.Cancel()
			done = nil
		}
	}
}

// Completion is what the chunks add up to, once All has ended; nil before, and if nothing had come. On an error it is what had come.
func (s *Stream) Completion() *Completion {
	if s.end == nil {
		return nil
	}
	return s.end.completion
}

// Cancel ends the request at once: All gives Cancelled. What has ended stays.
func (s *Stream) Cancel() { s.client.core.cancel(s.id) }
