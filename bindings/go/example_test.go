package helio_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"helio"
)

// scripted is a server that answers as the examples need it.
func scripted() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := new(strings.Builder)
		_ = r.Write(body)
		switch {
		case strings.Contains(body.String(), "too fast"):
			w.Header().Set("retry-after", "7")
			http.Error(w, `{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}`, 429)
		case strings.Contains(body.String(), `"stream":true`):
			w.Header().Set("content-type", "text/event-stream")
			fmt.Fprint(w, `data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}`+"\n\n")
			fmt.Fprint(w, `data: {"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
		default:
			fmt.Fprint(w, `{"choices":[{"index":0,"message":{"content":"Hello"},"finish_reason":"stop"}]}`)
		}
	}))
}

func question(text string, stream bool) map[string]any {
	messages := []map[string]any{{"role": "user", "content": text}}
	return map[string]any{"model": "gpt-4o-mini", "messages": messages, "stream": stream}
}

func ExampleClient_Complete() {
	server := scripted()
	defer server.Close()
	client, err := helio.New(map[string]any{"base_url": server.URL, "api_key": "k"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	completion, err := client.Complete(context.Background(), question("Hello", false))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(completion.Text)
	// Output: Hello
}

func ExampleStream_All() {
	server := scripted()
	defer server.Close()
	client, err := helio.New(map[string]any{"base_url": server.URL, "api_key": "k"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	for chunk, err := range client.Stream(context.Background(), question("Hello", true)).All() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(chunk.Text)
	}
	// Output:
	// Hel
	// lo
}

func ExampleError() {
	server := scripted()
	defer server.Close()
	client, err := helio.New(map[string]any{"base_url": server.URL, "api_key": "k", "retry": map[string]any{"max_retries": 0}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	_, err = client.Complete(context.Background(), question("too fast", false))
	var failure *helio.Error
	if errors.Is(err, helio.RateLimited) && errors.As(err, &failure) {
		wait, _ := failure.RetryAfter()
		fmt.Println(failure.Code, wait)
	}
	// Output: rate_limit_exceeded 7s
}
