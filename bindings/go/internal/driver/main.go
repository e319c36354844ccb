// Does what a line of bindings/scenarios.json tells it to.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"

	"helio"
)

type line struct {
	Do      string
	Config  json.RawMessage
	Request json.RawMessage
	Count   int
}

type answer struct {
	Status string   `json:"status"`
	Texts  []string `json:"texts"`
	Data   any      `json:"data"`
	Error  any      `json:"error"`
	Shown  string   `json:"shown"`
	Right  int      `json:"right"`
}

func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func outcome(texts []string, completion *helio.Completion, err error) answer {
	told := answer{Status: "HELIO_OK", Texts: texts, Shown: fmt.Sprint(err)}
	if texts == nil {
		told.Texts = []string{}
	}
	var failure *helio.Error
	if errors.As(err, &failure) {
		told.Status = failure.Status.String()
		completion = failure.Completion
		wait, again := failure.RetryAfter()
		after := wait.Milliseconds()
		if !again {
			after = -1
		}
		told.Error = map[string]any{
			"message": failure.Message, "code": orNil(failure.Code), "type": orNil(failure.Type),
			"http_status": failure.HTTPStatus, "retry_after_ms": after, "body": orNil(failure.Body),
			"report": orNil(string(failure.Report)),
		}
	}
	if completion != nil {
		told.Data = string(completion.Data)
	}
	return told
}

// read reads a stream to its end; atFirst is done elsewhere when the first text has come.
func read(stream *helio.Stream, atFirst func()) answer {
	var texts []string
	for chunk, err := range stream.All() {
		if err != nil {
			return outcome(texts, nil, err)
		}
		if chunk.Text != "" {
			texts = append(texts, chunk.Text)
			if len(texts) == 1 && atFirst != nil {
				go atFirst()
			}
		}
	}
	return outcome(texts, stream.Completion(), nil)
}

func firstText(stream *helio.Stream) answer {
	for chunk, err := range stream.All() {
		if err != nil {
			return outcome(nil, nil, err)
		}
		if chunk.Text != "" {
			return answer{Status: "LEFT", Texts: []string{chunk.Text}}
		}
	}
	return outcome(nil, stream.Completion(), nil)
}

func run(client *helio.Client, asked line) answer {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	switch asked.Do {
	case "create":
		return outcome(nil, nil, nil)
	case "complete":
		completion, err := client.Complete(ctx, asked.Request)
		return outcome(nil, completion, err)
	case "stream":
		return read(client.Stream(ctx, asked.Request), nil)
	case "cancel_before":
		cancel()
		return read(client.Stream(ctx, asked.Request), nil)
	case "cancel_during":
		return read(client.Stream(ctx, asked.Request), cancel)
	case "cancel_after":
		stream := client.Stream(ctx, asked.Request)
		told := read(stream, nil)
		stream.Cancel()
		return told
	case "many":
		return many(ctx, client, asked)
	case "leave":
		return firstText(client.Stream(ctx, asked.Request))
	case "drop":
		// Pulled by hand, so that no loop is left.
		return dropped(client, asked.Request)
	case "close":
		return read(client.Stream(ctx, asked.Request), client.Close)
	case "tools":
		completion, err := tools(ctx, client, asked.Request)
		return outcome(nil, completion, err)
	}
	panic(asked.Do)
}

func dropped(client *helio.Client, request json.RawMessage) answer {
	texts := make(chan string, 1)
	go func() {
		for chunk := range client.Stream(context.Background(), request).All() {
			if chunk.Text != "" {
				texts <- chunk.Text
				runtime.Goexit() // neither read on nor left
			}
		}
	}()
	text := <-texts
	for range 5 {
		runtime.GC()
	}
	return answer{Status: "LEFT", Texts: []string{text}}
}

func many(ctx context.Context, client *helio.Client, asked line) answer {
	var group sync.WaitGroup
	var mutex sync.Mutex
	right := 0
	for number := range asked.Count {
		group.Add(1)
		go func() {
			defer group.Done()
			request := strings.ReplaceAll(string(asked.Request), "#N#", fmt.Sprint(number))
			completion, err := client.Complete(ctx, request)
			if err == nil && completion.Text == fmt.Sprint("You said: ", number) {
				mutex.Lock()
				right++
				mutex.Unlock()
			}
		}()
	}
	group.Wait()
	told := outcome(nil, nil, nil)
	told.Right = right
	return told
}

func tools(ctx context.Context, client *helio.Client, request json.RawMessage) (*helio.Completion, error) {
	var parameters map[string]json.RawMessage
	if err := json.Unmarshal(request, &parameters); err != nil {
		return nil, err
	}
	chat := helio.NewChat()
	if err := chat.AddJSON(parameters["messages"]); err != nil {
		return nil, err
	}
	delete(parameters, "messages")
	ask := func() (*helio.Completion, error) {
		body, err := chat.Request(parameters)
		if err != nil {
			return nil, err
		}
		return client.Complete(ctx, body)
	}
	reply, err := ask()
	if err != nil {
		return nil, err
	}
	id, _, err := helio.Get(reply.Data, "/choices/0/message/tool_calls/0/id")
	if err := errors.Join(err, chat.AddReply(reply), chat.AddToolResult(id, "42")); err != nil {
		return nil, err
	}
	return ask()
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	var open *helio.Client
	for lines.Scan() {
		if open != nil {
			open.Close()
			open = nil
		}
		var asked line
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		client, err := helio.New(asked.Config)
		var told answer
		if err != nil {
			told = outcome(nil, nil, err)
		} else {
			told = run(client, asked)
			told.Shown += fmt.Sprintf(" %v %+v %#v", client, client, client)
			if asked.Do == "leave" || asked.Do == "drop" {
				open = client
			} else {
				client.Close()
			}
		}
		text, err := json.Marshal(told)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
	}
}
