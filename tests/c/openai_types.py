"""Assembled completions against the openai package's own types, which take no wrong type and no missing member here
(`strict`). What servers send in pieces, and in pieces that are broken, must come out as they would have sent it whole.

The package is installed once, into `build/openai`, as the real model is into its folder.
"""

import json
import subprocess

import tools
from asking import DELIVERIES, AskTest, question
from fake_server import FakeServer

PACKAGE = "openai==3.57.0"
# Reads completions, one a line, and says of each what the types find wrong with it.
JUDGE = """
import json, sys
from openai.types.chat import ChatCompletion
for line in sys.stdin:
    try:
        ChatCompletion.model_validate_json(line, strict=True)
        found = []
    except ValueError as error:
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    print(json.dumps(found), flush=True)
"""


# What servers stream ---------------------------------------------------------------------------

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m-1"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def chunk(*choices, **more):
    return {**HEAD, "choices": list(choices), **more}


def choice(delta, finish_reason=None, index=0, **more):
    return {"index": index, "delta": delta, "finish_reason": finish_reason, **more}


def deltas(*all_of_them, finish_reason="stop"):
    """Chunks with these deltas of choice 0, its end, and the usage."""
    chunks = [chunk(choice(delta)) for delta in all_of_them]
    return [*chunks, chunk(choice({}, finish_reason)), chunk(usage=USAGE)]


def calls(*lists):
    return deltas({"role": "assistant", "content": None}, *({"tool_calls": one} for one in lists), finish_reason="tool_calls")


def piece(arguments, **more):
    return {"function": {"arguments": arguments}, **more}


def begun(call_id, name, arguments="", **more):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def whole_call(call_id, name, arguments, **more):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


BOTH = [whole_call("a", "f", '{"x":1}'), whole_call("b", "g", '{"y":2}')]
CITATION = {
    "type": "url_citation",
    "url_citation": {"url": "https://example.org", "title": "t", "start_index": 0, "end_index": 4},
}


def image(number):
    return {"type": "image_url", "index": 0, "image_url": {"url": f"data:image/png;base64,{number}"}}


def cited(title):
    return {**CITATION, "index": 0, "url_citation": {**CITATION["url_citation"], "title": title}}


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
TOKEN = {
    "token": "Hi",
    "logprob": -0.25,
    "bytes": [72, 105],
    "top_logprobs": [{"token": "Hi", "logprob": -0.25, "bytes": [72, 105]}],
}
THOUGHTS = [{"thinking": "Let me see.", "signature": "c2ln"}]

# Each stream, and the message of choice 0 that it adds up to.
MESSAGES = {
    "a plain text": (deltas({"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"}), {"content": "Hello"}),
    "null before the text, and a role in each chunk": (
        deltas({"role": "assistant", "content": None}, {"role": "assistant", "content": "Hello"}),
        {"content": "Hello"},
    ),
    "calls by the book, taking turns": (
        calls([begun("a", "f", index=0)], [begun("b", "g", index=1)], [piece('{"y"', index=1), piece('{"x"', index=0)],
              [piece(":1}", index=0), piece(":2}", index=1)]),
        {"tool_calls": BOTH},
    ),
    "calls without an index": (
        calls([begun("a", "f")], [piece('{"x"')], [piece(":1}")], [begun("b", "g", '{"y":2}')]),
        {"tool_calls": BOTH},
    ),
    "whole calls without an index, one list": (
        calls([begun("a", "f", '{"x":1}'), begun("b", "g", '{"y":2}')]),
        {"tool_calls": BOTH},
    ),
    "index 0 twice with a new id": (
        calls([begun("a", "f", '{"x":1}', index=0)], [begun("b", "g", index=0)], [piece('{"y":2}', index=0)]),
        {"tool_calls": BOTH},
    ),
    "empty ids and names later": (
        calls(
            [begun("a", "f", '{"x"', index=0)],
            [{"index": 0, "id": "", "type": None, "function": {"name": "", "arguments": ":1}"}}],
            [{"index": 1, "id": "b", "type": "", "function": {"name": "g", "arguments": ""}}],
            [{"index": 1, "id": None, "function": {"name": None, "arguments": '{"y":2}'}}],
        ),
        {"tool_calls": BOTH},
    ),
    "the id in each delta": (
        calls([begun("a", "f", '{"x"', index=0)], [begun("a", "f", ":1}", index=0)], [begun("b", "g", '{"y":2}', index=1)]),
        {"tool_calls": BOTH},
    ),
    "arguments as an object": (
        calls([{"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}}, begun("b", "g", '{"y":2}', index=1)]),
        {"tool_calls": BOTH},
    ),
    "no arguments at all": (
        calls([{"index": 0, "id": "a", "type": "function", "function": {"name": "f"}}]),
        {"tool_calls": [whole_call("a", "f", "")]},
    ),
    "calls behind a text, and a finish that says stop": (
        deltas({"content": "I look."}, {"tool_calls": [begun("a", "f", "{}", index=0)]}),
        {"content": "I look.", "tool_calls": [whole_call("a", "f", "{}")]},
    ),
    "what a provider hangs on a call": (
        calls([begun("a", "f", "{}", index=0, extra_content={"google": {"thought_signature": "c2ln"}})]),
        {"tool_calls": [whole_call("a", "f", "{}", extra_content={"google": {"thought_signature": "c2ln"}})]},
    ),
    "a custom tool": (
        calls(
            [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": ""}}],
            [{"index": 0, "custom": {"input": "SELECT "}}],
            [{"index": 0, "custom": {"input": "1"}}],
        ),
        {"tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}]},
    ),
    "the old function call": (
        deltas({"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}, finish_reason="function_call"),
        {"function_call": {"name": "f", "arguments": "{}"}},
    ),
    "a refusal": (deltas({"refusal": "I will "}, {"refusal": "not."}), {"refusal": "I will not."}),
    "citations, in two chunks": (
        deltas({"content": "It is."}, {"annotations": [CITATION]}, {"annotations": [CITATION]}),
        {"content": "It is.", "annotations": [CITATION, CITATION]},
    ),
    "audio in pieces": (
        deltas(
            {"audio": {"id": "audio_1", "transcript": "Hel"}},
            {"audio": {"data": "AAAA", "transcript": "lo"}},
            {"audio": {"data": "BBBB"}},
            {"audio": {"expires_at": 1700000000}},
        ),
        {"audio": {"id": "audio_1", "transcript": "Hello", "data": "AAAABBBB", "expires_at": 1700000000}},
    ),
    "images": (deltas({"images": [IMAGE]}, {"images": [IMAGE]}), {"images": [IMAGE, IMAGE]}),
    "reasoning, its details and signature with the end, as the gateway has it": (
        [
            *deltas({"role": "assistant", "content": ""}, {"reasoning": "Let me "}, {"reasoning": "see."}, {"content": "Yes."})[:-2],
            chunk(choice({"reasoning_details": THOUGHTS, "annotations": [CITATION]}, "stop")),
            chunk(usage=USAGE),
        ],
        {"content": "Yes.", "reasoning": "Let me see.", "reasoning_details": THOUGHTS, "annotations": [CITATION]},
    ),
    "reasoning_content": (
        deltas({"reasoning_content": "Let me "}, {"reasoning_content": "see."}, {"content": "Yes."}),
        {"content": "Yes.", "reasoning_content": "Let me see."},
    ),
    "reasoning details in pieces with an index, the signature last": (
        deltas(
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "Let me "}]},
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "see."}]},
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "c2ln"}]},
            {"content": "Yes."},
        ),
        {
            "content": "Yes.",
            "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "Let me see.", "signature": "c2ln"}],
        },
    ),
    "calls with an index in quotes, taking turns": (
        calls([begun("a", "f", index="0"), begun("b", "g", index="1")], [piece('{"x"', index="0")], [piece('{"y"', index="1")],
              [piece(":1}", index="0")], [piece(":2}", index="1")]),
        {"tool_calls": BOTH},
    ),
    "an empty object before the pieces of the arguments, and as a string, and behind them": (
        calls(
            [{"index": 0, "id": "a", "function": {"name": "f", "arguments": {}}}, begun("b", "g", "{}", index=1)],
            [piece('{"x"', index=0), piece('{"y":', index=1)],
            [piece(":1}", index=0), piece("2}", index=1)],
            [piece({}, index=0), piece({}, index=1)],
        ),
        {"tool_calls": BOTH},
    ),
    "an empty object for all arguments": (
        calls([{"index": 0, "id": "a", "function": {"name": "f", "arguments": {}}}], [piece("", index=0)]),
        {"tool_calls": [whole_call("a", "f", "{}")]},
    ),
    "null or nothing beside the function": (
        calls([begun("a", "f", '{"x":1}', index=0, custom=None)], [begun("b", "g", '{"y":2}', index=1, custom={})]),
        {"tool_calls": BOTH},
    ),
    "the signature of a call, then an empty one": (
        calls(
            [begun("a", "f", "{", index=0, extra_content={"google": {"thought_signature": "c2ln"}})],
            [piece("}", index=0, extra_content={})],
        ),
        {"tool_calls": [whole_call("a", "f", "{}", extra_content={"google": {"thought_signature": "c2ln"}})]},
    ),
    "the signature of a text, told twice": (
        deltas(
            {"content": "Hel", "extra_content": {"google": {"thought_signature": "c2ln"}}},
            {"content": "lo", "extra_content": {"google": {"thought_signature": "c2ln"}}},
        ),
        {"content": "Hello", "extra_content": {"google": {"thought_signature": "c2ln"}}},
    ),
    "images under one index, one of them told twice": (
        deltas({"images": [image(1)]}, {"images": [image(1)]}, {"images": [image(2)]}),
        {"images": [image(1), image(2)]},
    ),
    "citations under one index": (
        deltas({"content": "It is."}, {"annotations": [cited("a")]}, {"annotations": [cited("b")]}),
        {"content": "It is.", "annotations": [cited("a"), cited("b")]},
    ),
    "two encrypted thoughts under one index": (
        deltas(
            {"reasoning_details": [{"type": "reasoning.encrypted", "index": 0, "id": "r1", "data": "AA=="}]},
            {"reasoning_details": [{"type": "reasoning.encrypted", "index": 0, "id": "r2", "data": "BB=="}]},
        ),
        {
            "reasoning_details": [
                {"type": "reasoning.encrypted", "index": 0, "id": "r1", "data": "AA=="},
                {"type": "reasoning.encrypted", "index": 0, "id": "r2", "data": "BB=="},
            ]
        },
    ),
    "two signed thoughts under one index": (
        deltas(
            *(
                {"reasoning_details": [{"type": "reasoning.text", "index": 0, **more}]}
                for more in ({"text": "A"}, {"signature": "s1"}, {"text": "B"}, {"text": "C", "signature": "s2"})
            ),
        ),
        {
            "reasoning_details": [
                {"type": "reasoning.text", "index": 0, "text": "A", "signature": "s1"},
                {"type": "reasoning.text", "index": 0, "text": "BC", "signature": "s2"},
            ]
        },
    ),
    "a thought whose type comes later": (
        deltas(
            {"reasoning_details": [{"index": 0, "text": "A"}]},
            {"reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "B"}]},
        ),
        {"reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "AB"}]},
    ),
    "thinking blocks without an index, two of them": (
        deltas(
            *(
                {"thinking_blocks": [{"type": "thinking", "thinking": text, "signature": signature}]}
                for text, signature in (("Let ", ""), ("me", ""), ("", "s1"), ("B", ""), ("", "s2"))
            ),
        ),
        {
            "thinking_blocks": [
                {"type": "thinking", "thinking": "Let me", "signature": "s1"},
                {"type": "thinking", "thinking": "B", "signature": "s2"},
            ]
        },
    ),
    "empty values behind told ones": (
        deltas(
            {"content": "Hi", "annotations": [CITATION], "reasoning": "Let me", "refusal": None},
            {"annotations": "", "reasoning": {}, "refusal": None},
            {"annotations": [], "reasoning": [], "refusal": None},
            {"annotations": None, "reasoning": " see."},
        ),
        {"content": "Hi", "annotations": [CITATION], "reasoning": "Let me see.", "refusal": None},
    ),
    "parts of text alone": (
        deltas({"content": [{"type": "text", "text": "Hel"}]}, {"content": [{"type": "text", "text": "lo"}]}),
        {"content": "Hello"},
    ),
    "what nobody knows": (
        deltas({"content": "Hi", "x_provider": {"a": [1]}}, {"x_provider": {"b": 2}, "x_text": "te"}, {"x_text": "xt"}),
        {"content": "Hi", "x_provider": {"a": [1], "b": 2}, "x_text": "text"},
    ),
}

# Streams whose completion has more to it than a message: what must be found in it.
COMPLETIONS = {
    "three choices, interleaved": (
        [
            chunk(choice({"content": "a"}, index=2), choice({"content": "b"}, index=0)),
            chunk(choice({"content": "c"}, index=1)),
            *(chunk(choice({"content": "!"}, "stop", index)) for index in (1, 0, 2)),
        ],
        lambda whole: [one["message"]["content"] for one in whole["choices"]] == ["b!", "c!", "a!"],
    ),
    "log probabilities": (
        [
            chunk(choice({"content": "Hi"}, logprobs={"content": [TOKEN], "refusal": None})),
            chunk(choice({"content": "Hi"}, logprobs={"content": [TOKEN], "refusal": None})),
            chunk(choice({}, "stop", logprobs=None)),
        ],
        lambda whole: whole["choices"][0]["logprobs"] == {"content": [TOKEN, TOKEN], "refusal": None},
    ),
    "usage with details and a cost": (
        [
            *deltas({"content": "Hi"})[:-1],
            chunk(
                usage={
                    **USAGE,
                    "cost": 0.00012,
                    "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 0, "cache_write_tokens": 2},
                    "completion_tokens_details": {"reasoning_tokens": 1},
                }
            ),
        ],
        lambda whole: whole["usage"]["cost"] == 0.00012 and whole["usage"]["prompt_tokens_details"]["cached_tokens"] == 1,
    ),
    "Azure's first chunk, which says nothing": (
        [
            {"id": "", "model": "", "object": "", "created": 0, "choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
            *deltas({"content": "Hi"}),
        ],
        lambda whole: (whole["id"], whole["model"]) == ("chatcmpl-1", "m-1"),
    ),
    "a tier, a fingerprint, an id for each chunk, a time with a fraction": (
        [
            {**chunk(choice({"content": "Hi"}), service_tier="default", system_fingerprint="fp"), "id": "x", "created": 1700000000.5},
            {**chunk(choice({}, "stop")), "id": "y"},
        ],
        lambda whole: (whole["id"], whole["created"], whole["service_tier"], whole["system_fingerprint"])
        == ("x", 1700000000, "default", "fp"),
    ),
    "two choices with an index in quotes": (
        [
            chunk(choice({"content": "a"}, index="0"), choice({"content": "b"}, index="1")),
            chunk(choice({}, "stop", index="1")),
            chunk(choice({}, "stop", index="0")),
        ],
        lambda whole: [one["message"]["content"] for one in whole["choices"]] == ["a", "b"],
    ),
    "two choices without an index": (
        [
            {"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]},
            {"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]},
            {"choices": [{"delta": {}, "finish_reason": "stop"}, {"delta": {}, "finish_reason": "stop"}]},
        ],
        lambda whole: [one["message"]["content"] for one in whole["choices"]] == ["aa", "bb"],
    ),
    "an id and a model that are numbers, a time in floating point": (
        ['{"id":17,"model":4,"created":1.7e9,"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}'],
        lambda whole: (whole["id"], whole["model"], whole["created"]) == ("17", "4", 1700000000),
    ),
    "usage that says nothing, behind one that does": (
        [*deltas({"content": "Hi"}), chunk(usage={}), chunk(usage=dict.fromkeys(USAGE)), chunk(usage=None)],
        lambda whole: whole["usage"] == USAGE,
    ),
    "usage that never says anything": (
        [*deltas({"content": "Hi"})[:-1], chunk(usage={}), chunk(usage=dict.fromkeys(USAGE))],
        lambda whole: whole.get("usage") is None,
    ),
    "nearly nothing in each chunk": (
        [{"choices": [{"delta": {"content": "Hi"}}]}, {"choices": [{"delta": {}, "finish_reason": "stop"}]}],
        lambda whole: whole["choices"][0]["message"] == {"role": "assistant", "content": "Hi"},
    ),
    "calls without ids": (
        calls(
            [{"index": 0, "function": {"name": "f", "arguments": "{}"}}],
            [{"index": 1, "id": "", "function": {"name": "g", "arguments": "{}"}}],
        ),
        lambda whole: len({one["id"] for one in whole["choices"][0]["message"]["tool_calls"]} - {""}) == 2,
    ),
    "usage that is told in each chunk": (
        [chunk(choice({"content": "Hi"}), usage={**USAGE, "completion_tokens": 1}), *deltas()],
        lambda whole: whole["usage"] == USAGE,
    ),
}


class OpenaiTypes(AskTest):
    @classmethod
    def setUpClass(cls):
        interpreter = tools.python_with(PACKAGE, "openai")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        cls.judge = subprocess.Popen([interpreter, "-c", JUDGE], **pipes)
        cls.addClassCleanup(cls.end_judge)

    @classmethod
    def end_judge(cls):
        cls.judge.communicate(timeout=60)

    def assertValid(self, completion):
        self.judge.stdin.write(json.dumps(completion) + "\n")
        self.judge.stdin.flush()
        found = json.loads(self.judge.stdout.readline())
        self.assertEqual(found, [], json.dumps(completion, indent=1))

    def streamed(self, chunks):
        """What these chunks, objects or their JSON, add up to, in each delivery the same; its types are right."""

        def stream(exchange):
            exchange.begin_stream()
            for one in chunks:
                exchange.event((one if isinstance(one, str) else json.dumps(one, separators=(",", ":"))).encode())
            exchange.event(b"[DONE]")
            exchange.send(b"0\r\n\r\n")

        with FakeServer(stream) as server:
            told = [self.ask_once({"base_url": server.base_url}, question("any"), delivery) for delivery in DELIVERIES]
        for asked in told:
            self.assertEqual(asked.status, "OK", asked)
            self.assertValid(asked.data)
        return [asked.data for asked in told]

    def test_the_judge_finds_what_is_wrong(self):
        with self.assertRaises(AssertionError):
            self.assertValid({"choices": [{"message": {"role": "assistant", "content": 7}}]})

    def test_messages_add_up_to_what_the_types_want(self):
        for name, (chunks, message) in MESSAGES.items():
            with self.subTest(name):
                expected = {"role": "assistant", "content": None, **message}
                for whole in self.streamed(chunks):
                    self.assertEqual(whole["choices"][0]["message"], expected)

    def test_completions_add_up_to_what_the_types_want(self):
        for name, (chunks, holds) in COMPLETIONS.items():
            with self.subTest(name):
                for whole in self.streamed(chunks):
                    self.assertTrue(holds(whole), json.dumps(whole, indent=1))

    def test_what_comes_whole_is_handed_on_as_it_is(self):
        for name, (chunks, message) in MESSAGES.items():
            with self.subTest(name):
                whole = {**self.streamed(chunks)[0], "object": "chat.completion"}

                def answer(exchange, whole=whole):
                    exchange.answer(200, "application/json", json.dumps(whole).encode())

                with FakeServer(answer) as server:
                    asked = self.ask_once({"base_url": server.base_url}, question("any", stream=False), "complete")
                self.assertEqual(asked.data, whole)
                self.assertValid(asked.data)


CASES = (OpenaiTypes,)
