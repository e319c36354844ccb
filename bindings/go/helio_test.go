package helio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"helio"
)

// What the table of scenarios does not have, because it is Go's own.

const ask = `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`
const askStream = `{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}`

// server streams a word and holds the answer until the client has left, or answers whole.
type server struct {
	*httptest.Server
	left chan struct{}
	next chan struct{} // closed: streams end
}

func serve(t testing.TB) *server {
	made := &server{left: make(chan struct{}, 1000), next: make(chan struct{})}
	made.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), `"stream":true`) {
			w.Header().Set("content-type", "application/json")
			fmt.Fprint(w, `{"choices":[{"index":0,"message":{"content":"Hello"},"finish_reason":"stop"}]}`)
			return
		}
		w.Header().Set("content-type", "text/event-stream")
		fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word\"}}]}\n\n")
		w.(http.Flusher).Flush()
		select {
		case <-made.next:
			fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
		case <-r.Context().Done():
			made.left <- struct{}{}
		}
	}))
	t.Cleanup(made.Close)
	return made
}

func (s *server) config() map[string]any {
	return map[string]any{"base_url": s.URL + "/v1", "api_key": "k"}
}

func (s *server) client(t testing.TB) *helio.Client {
	client, err := helio.New(s.config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func (s *server) isLeft(t testing.TB) {
	select {
	case <-s.left:
	case <-time.After(30 * time.Second):
		t.Fatal("the request goes on")
	}
}

func threads(t testing.TB) int {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skip("no /proc")
	}
	return len(tasks)
}

func TestADeadlineOfTheContextCancelsAndIsTheCause(t *testing.T) {
	server := serve(t)
	client := server.client(t)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := client.Complete(ctx, askStream)
	var failure *helio.Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, helio.Cancelled) || !errors.As(err, &failure) {
		t.Fatal(err)
	}
	if failure.Completion == nil || failure.Completion.Text != "word" {
		t.Fatal("what had come is lost")
	}
	server.isLeft(t)
}

func TestACancelledContextSendsNothing(t *testing.T) {
	server := serve(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("not wanted")
	cancel(cause)
	if _, err := server.client(t).Complete(ctx, ask); !errors.Is(err, cause) || !errors.Is(err, helio.Cancelled) {
		t.Fatal(err)
	}
}

func TestLeavingTheLoopCancels(t *testing.T) {
	server := serve(t)
	for range server.client(t).Stream(context.Background(), askStream).All() {
		break
	}
	server.isLeft(t)
}

func TestStreamsHoldNoThreads(t *testing.T) {
	server := serve(t)
	client := server.client(t)
	var streams []*helio.Stream
	before := 0
	for number := range 50 {
		stream := client.Stream(context.Background(), askStream)
		streams = append(streams, stream)
		for range stream.All() {
			// One chunk of it; the loop would cancel if it was left, so it is read elsewhere below.
			break
		}
		if number == 10 {
			before = threads(t)
		}
	}
	if after := threads(t); after > before+20 {
		t.Fatalf("%d threads became %d", before, after)
	}
	runtime.KeepAlive(streams)
}

func TestManyGoroutinesShareAClient(t *testing.T) {
	server := serve(t)
	close(server.next)
	client := server.client(t)
	var group sync.WaitGroup
	for range 20 {
		group.Add(1)
		go func() {
			defer group.Done()
			for range 5 {
				if completion, err := client.Complete(context.Background(), askStream); err != nil || completion.Text != "word" {
					t.Error(completion, err)
				}
			}
		}()
	}
	group.Wait()
}

func TestCloseMayComeTwiceAndFromElsewhere(t *testing.T) {
	server := serve(t)
	client := server.client(t)
	stream := client.Stream(context.Background(), askStream)
	var group sync.WaitGroup
	for range 4 {
		group.Add(1)
		go func() { defer group.Done(); client.Close() }()
	}
	group.Wait()
	var last error
	for _, last = range stream.All() {
	}
	if !errors.Is(last, helio.ShutDown) {
		t.Fatal(last)
	}
	_, stats := client.Stats()
	_, complete := client.Complete(context.Background(), ask)
	for _, err := range []error{stats, complete, client.Prewarm(), client.SetAPIKey("x")} {
		if !errors.Is(err, helio.ShutDown) {
			t.Fatal(err)
		}
	}
}

func TestAForgottenClientLetsGo(t *testing.T) {
	server := serve(t)
	func() {
		client, err := helio.New(server.config())
		if err != nil {
			t.Fatal(err)
		}
		stream := client.Stream(context.Background(), askStream)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range stream.All() {
				runtime.Goexit()
			}
		}()
		<-done
	}()
	for range 100 {
		runtime.GC()
		select {
		case <-server.left:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatal("the request goes on")
}

func TestRequestsMayBeStructsMapsOrText(t *testing.T) {
	server := serve(t)
	client := server.client(t)
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	asStruct := struct {
		Model    string    `json:"model"`
		Messages []message `json:"messages"`
	}{"m", []message{{"user", "Hi"}}}
	for _, request := range []any{ask, []byte(ask), json.RawMessage(ask), asStruct} {
		if completion, err := client.Complete(context.Background(), request); err != nil || completion.Text != "Hello" {
			t.Fatal(completion, err)
		}
	}
	if _, err := client.Complete(context.Background(), func() {}); err == nil {
		t.Fatal("a function is no JSON")
	}
	if _, err := client.Complete(context.Background(), ""); !errors.Is(err, helio.InvalidJSON) {
		t.Fatal(err)
	}
	if _, err := client.Complete(context.Background(), ask, helio.Overrides(`{"nothing":1}`)); !errors.Is(err, helio.InvalidArgument) {
		t.Fatal(err)
	}
}

func TestAChatSaysWhatItDoesNotTake(t *testing.T) {
	chat := helio.NewChat()
	if err := chat.Add("user", "Hi ✓"); err != nil || chat.Len() != 1 {
		t.Fatal(err)
	}
	if err := chat.Add("nobody", "x"); !errors.Is(err, helio.InvalidArgument) {
		t.Fatal(err)
	}
	body, err := chat.Request(nil)
	if said, there, _ := helio.Get(body, "/messages/0/content"); err != nil || said != "Hi ✓" || !there {
		t.Fatal(said, err)
	}
	if err := chat.Remove(0, 1); err != nil || chat.Len() != 0 {
		t.Fatal(err)
	}
	if _, there, err := helio.Get([]byte("{}"), "/a"); there || err != nil {
		t.Fatal(there, err)
	}
}
