"""The examples of the endpoint's features: what they send, what they make of the answer, and what they say when it is not
what they asked for. Docs pages quote them; `Docs` sees that they quote what is there."""

import base64
import json
import pathlib
import re
import tempfile

from fake_server import FakeServer, completion, in_turn
from harness import CTest, build, compile_program, memcheck, run

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def tool_call(call_id, name, arguments):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def text(content):
    return lambda exchange: exchange.reply({"content": content})


class Tools(CTest):
    def test_two_parallel_calls_are_answered_before_the_model_goes_on(self):
        calls = [tool_call("c1", "multiply", '{"a":17,"b":23}'), tool_call("c2", "add", '{"a":4711,"b":815}')]

        def ask_for_both(exchange):
            exchange.reply({"tool_calls": calls}, "tool_calls")

        with FakeServer(in_turn(ask_for_both, text("391 and 5526."))) as server:
            outcome = run("tools", BASE_URL=server.base_url, PROMPT="17*23, 4711+815?")
        self.assertSucceeded(outcome)
        self.assertEqual(
            outcome.out,
            'multiply({"a":17,"b":23}) = 391\nadd({"a":4711,"b":815}) = 5526\n391 and 5526.\n',
        )
        first, second = server.requests
        self.assertEqual([tool["function"]["name"] for tool in first.json["tools"]], ["add", "multiply"])
        self.assertEqual((first.json["tool_choice"], first.json["parallel_tool_calls"]), ("auto", True))
        self.assertEqual(
            second.json["messages"],
            [
                {"role": "user", "content": "17*23, 4711+815?"},
                {"role": "assistant", "content": None, "tool_calls": calls},
                {"role": "tool", "tool_call_id": "c1", "content": "391"},
                {"role": "tool", "tool_call_id": "c2", "content": "5526"},
            ],
        )

    def test_what_the_model_gets_wrong_it_is_told(self):
        calls = [tool_call("c1", "divide", '{"a":1,"b":2}'), tool_call("c2", "add", "one and two")]

        def ask_wrongly(exchange):
            exchange.reply({"tool_calls": calls}, "stop")  # some servers say "stop"

        with FakeServer(in_turn(ask_wrongly, text("Sorry."))) as server:
            outcome = run("tools", BASE_URL=server.base_url)
        self.assertSucceeded(outcome)
        results = [message["content"] for message in server.requests[1].json["messages"][-2:]]
        self.assertEqual(results[0], "error: there is no function divide")
        self.assertRegex(results[1], "^error: the arguments must be JSON")

    def test_a_model_that_never_ends_is_ended(self):
        def ask_again(exchange):
            exchange.reply({"tool_calls": [tool_call("c1", "add", '{"a":1,"b":1}')]}, "tool_calls")

        with FakeServer(ask_again) as server:
            outcome = run("tools", BASE_URL=server.base_url)
        self.assertEqual(outcome.code, 1, outcome)
        self.assertIn("that is enough", outcome.err)
        self.assertLess(len(server.requests), 10)

    def test_valgrind_finds_nothing_in_tools(self):
        calls = {"tool_calls": [tool_call("c1", "add", '{"a":1,"b":2}'), tool_call("c2", "add", "{")]}
        with FakeServer(in_turn(lambda exchange: exchange.reply(calls), text("3"))) as server:
            memcheck(self, "tools", BASE_URL=server.base_url)


class Vision(CTest):
    images = {
        "png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        "jpeg": b"\xff\xd8\xff\xe0 and more",
        "gif": b"GIF89a and more",
        "webp": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    }

    def test_an_image_file_becomes_a_data_url(self):
        for kind, content in self.images.items():
            with self.subTest(kind), tempfile.NamedTemporaryFile() as file, FakeServer(text("A dot.")) as server:
                file.write(content)
                file.flush()
                outcome = run("vision", file.name, BASE_URL=server.base_url, PROMPT='What is "this"?')
                self.assertSucceeded(outcome)
                self.assertEqual(outcome.out, "A dot.\n")
                (message,) = server.requests[0].json["messages"]
                question, image = message["content"]
                self.assertEqual(question, {"type": "text", "text": 'What is "this"?'})
                self.assertEqual((image["type"], image["image_url"]["detail"]), ("image_url", "auto"))
                head, _, data = image["image_url"]["url"].partition(",")
                self.assertEqual((head, base64.b64decode(data, validate=True)), (f"data:image/{kind};base64", content))

    def test_what_is_no_image_is_not_sent(self):
        with FakeServer(text("?")) as server:
            outcome = run("vision", str(REPOSITORY / "Makefile"), BASE_URL=server.base_url)
            self.assertEqual(outcome.code, 1)
            self.assertIn("is no PNG, JPEG, GIF or WebP", outcome.err)
            self.assertEqual(run("vision", "/no/such/file", BASE_URL=server.base_url).code, 1)
            self.assertEqual(server.requests, [])

    def test_a_model_that_cannot_see_says_so(self):
        def blind(exchange):
            exchange.refuse(400, "image input is not supported")

        with tempfile.NamedTemporaryFile() as file, FakeServer(blind) as server:
            file.write(self.images["png"])
            file.flush()
            outcome = run("vision", file.name, BASE_URL=server.base_url)
        self.assertFailed(outcome, "BAD_REQUEST")
        self.assertIn("image input is not supported", outcome.err)


class Json(CTest):
    tokyo = '{"name":"T\\u014dky\\u014d","country":"Japan","population":37400068}'

    def test_json_mode_gives_an_object_that_is_taken_apart(self):
        with FakeServer(text(self.tokyo)) as server:
            outcome = run("json", BASE_URL=server.base_url)
        self.assertSucceeded(outcome)
        self.assertIn("name: T\u014dky\u014d, country: Japan, population: 37400068", outcome.out)
        self.assertEqual(server.requests[0].json["response_format"], {"type": "json_object"})
        self.assertIn("JSON", str(server.requests[0].json["messages"]))

    def test_a_schema_is_sent_as_it_is_written(self):
        with FakeServer(text(self.tokyo)) as server:
            self.assertSucceeded(run("json", "schema", BASE_URL=server.base_url))
        wanted = server.requests[0].json["response_format"]
        self.assertEqual((wanted["type"], wanted["json_schema"]["strict"]), ("json_schema", True))
        self.assertEqual(wanted["json_schema"]["schema"]["required"], ["name", "country", "population"])

    def test_json_that_was_cut_refused_or_never_was_is_no_success(self):
        for behaviour, words in (
            (lambda exchange: exchange.reply({"content": self.tokyo[:20]}, "length"), "cut at max_tokens"),
            (lambda exchange: exchange.reply({"refusal": "I will not."}), "refuses: I will not."),
            (text("Tokyo, of course."), "no JSON"),
        ):
            with FakeServer(behaviour) as server:
                outcome = run("json", BASE_URL=server.base_url)
            self.assertEqual(outcome.code, 1, outcome)
            self.assertIn(words, outcome.err)


class Reasoning(CTest):
    details = [{"thinking": "Try 31.", "signature": "c2lnbmVk"}]

    def think(self, exchange):
        """In the order of the gateway's Anthropic route: the signature comes with the end."""
        exchange.begin_stream()
        exchange.delta(role="assistant", content="")
        for piece in ("Try ", "31."):
            exchange.delta(reasoning=piece)
        exchange.token("Yes, it is.")
        exchange.delta(reasoning_details=self.details)
        exchange.end_stream()

    def test_thoughts_and_answer_come_apart_and_go_back_together(self):
        with FakeServer(self.think) as server:
            outcome = run("reasoning", BASE_URL=server.base_url)
        self.assertSucceeded(outcome)
        self.assertEqual(outcome.out, "Yes, it is.\nYes, it is.\n")
        self.assertEqual(outcome.err.count("Try 31."), 2)
        first, second = (request.json for request in server.requests)
        self.assertEqual((first["reasoning_effort"], first["reasoning_options"]), ("low", {"budget_tokens": 1024}))
        self.assertEqual(
            second["messages"][1],
            {"role": "assistant", "content": "Yes, it is.", "reasoning": "Try 31.", "reasoning_details": self.details},
        )


class Logprobs(CTest):
    def test_each_token_is_shown_with_its_probability_and_the_others(self):
        def token(word, logprob, others=()):
            return {"token": word, "logprob": logprob, "bytes": None, "top_logprobs": list(others)}

        content = [token("Yes", -0.1053605, [token("Yes", -0.1053605), token("No", -2.302585)]), token('"', 0.0)]

        def sure(exchange):
            exchange.reply({"content": 'Yes"'}, logprobs={"content": content, "refusal": None})

        with FakeServer(sure) as server:
            outcome = run("logprobs", BASE_URL=server.base_url)
        self.assertSucceeded(outcome)
        self.assertEqual(outcome.out, '"Yes" 90.0 %   of "Yes" 90.0 %, "No" 10.0 %\n""" 100.0 %\n')
        self.assertEqual((server.requests[0].json["logprobs"], server.requests[0].json["top_logprobs"]), (True, 3))

    def test_an_answer_without_any_is_told(self):
        with FakeServer(text("Yes")) as server:
            outcome = run("logprobs", BASE_URL=server.base_url)
        self.assertSucceeded(outcome)
        self.assertIn("the answer has none", outcome.err)


class Choices(CTest):
    def test_all_choices_are_shown_and_one_is_gone_on_with(self):
        def three(exchange):
            whole = completion(exchange.request, None)
            names = ["Tom", "Minka", "Ö"]
            whole["choices"] = [
                {"index": place, "message": {"role": "assistant", "content": name}, "finish_reason": "stop"}
                for place, name in enumerate(names)
            ]
            exchange.answer(200, "application/json", json.dumps(whole).encode())

        with FakeServer(three) as server:
            outcome = run("choices", BASE_URL=server.base_url)
        self.assertSucceeded(outcome)
        self.assertEqual(
            outcome.out, "0: Tom\n1: Minka\n2: Ö\n3 answers, the conversation goes on from number 2\n"
        )
        self.assertEqual(server.requests[0].json["n"], 3)

    def test_a_server_that_gives_one_only_is_heard(self):
        def only_one(exchange):
            exchange.refuse(400, "n must be 1")

        with FakeServer(only_one) as server:
            outcome = run("choices", BASE_URL=server.base_url)
        self.assertFailed(outcome, "BAD_REQUEST")
        self.assertIn("n must be 1", outcome.err)


# One right value for each parameter of docs/parameters.md.
VALUES = {
    "model": "claude-sonnet-4:online,gpt-4o/azure/7f9c,!openai",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "developer", "content": "d"},
        {"role": "user", "content": [{"type": "text", "text": "u"}]},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
    ],
    "temperature": 0.2,
    "max_tokens": 64,
    "max_completion_tokens": 64,
    "top_p": 0.9,
    "top_k": 40,
    "stream": False,
    "stream_options": {"include_usage": True},
    "stop": ["\n", "END"],
    "n": 2,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "top_logprobs": None,
    "response_format": {"type": "json_object"},
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "tool_choice": "none",
    "parallel_tool_calls": False,
    "functions": [{"name": "f"}],
    "function_call": "none",
    "user": "ada",
    "safety_identifier": "hash",
    "seed": 7,
    "service_tier": "flex",
    "store": False,
    "modalities": ["text"],
    "prediction": {"type": "content", "content": "x"},
    "verbosity": "low",
    "reasoning_effort": "minimal",
    "reasoning_options": {"budget_tokens": 1024},
    "metadata": {"feature": "x"},
    "cache_control": {"type": "ephemeral"},
    "prompt_cache_key": "k",
    "context_editing": {"enabled": True},
    "image_generation": {"aspect_ratio": "1:1", "image_size": "1K"},
    "plugins": [{"id": "web"}],
    "prompt_id": "p",
    "inputs": {"city": "Lisbon"},
    "environment": "staging",
    "version_id": "v",
}


class Parameters(CTest):
    def test_each_parameter_goes_out_as_it_is_given(self):
        with FakeServer(text("Hello")) as server:
            for name, value in VALUES.items():
                with self.subTest(name):
                    outcome = run("parameters", f"{name}={json.dumps(value)}", BASE_URL=server.base_url)
                    self.assertSucceeded(outcome)
                    self.assertEqual(outcome.out, "Hello\n")
                    self.assertEqual(server.requests[-1].json[name], value)
            outcome = run("parameters", "logprobs=true", "top_logprobs=5", BASE_URL=server.base_url)
            self.assertSucceeded(outcome)
        self.assertEqual(server.requests[-1].json["top_logprobs"], 5)

    def test_what_would_be_refused_is_told_and_not_sent(self):
        with FakeServer(text("Hello")) as server:
            outcome = run("parameters", "temperature=3", "top_logprobs=5", "max_token=1", BASE_URL=server.base_url)
            self.assertFailed(outcome, "INVALID_ARGUMENT")
            for words in ("temperature: found 3", "top_logprobs: found no", 'did you mean "max_tokens"?'):
                self.assertIn(words, outcome.err)
            self.assertEqual(run("parameters", "seed", BASE_URL=server.base_url).code, 1)
        self.assertEqual(server.requests, [])


class Real:
    """What a small model can do; mixed into the class that has its server."""

    def test_json_mode_and_schema_by_a_real_model(self):
        settings = self.settings(MAX_TOKENS="200", PROMPT="Tokyo lies in Japan and has 37400068 people.")
        for arguments in ([], ["schema"]):
            outcome = run("json", *arguments, **settings)
            self.assertSucceeded(outcome)
            answer = json.loads(outcome.out.rpartition("\nname: ")[0])
            self.assertEqual(list(answer), ["name", "country", "population"])
            self.assertIn("name: Tokyo", outcome.out)

    def test_logprobs_of_a_real_model(self):
        outcome = run("logprobs", **self.settings(MAX_TOKENS="5"))
        self.assertSucceeded(outcome)
        self.assertEqual(len(outcome.out.splitlines()), 5, outcome)
        for line in outcome.out.splitlines():
            self.assertRegex(line, r'^".*" \d+\.\d % +of "')

    def test_two_choices_of_a_real_model(self):
        outcome = run("choices", **self.settings(CHOICES="2", MAX_TOKENS="8"))
        self.assertSucceeded(outcome)
        self.assertRegex(outcome.out, r"(?s)^0: .+\n1: .+\n2 answers")

    def test_tokens_of_a_real_model_are_counted(self):
        outcome = run("cost", **self.settings(MAX_TOKENS="12", BUDGET="50"))
        self.assertSucceeded(outcome)
        self.assertIn("[cut at max_tokens]", outcome.out)
        self.assertIn("is used up after", outcome.out)

    def test_examples_of_settings_run_with_a_real_model(self):
        for example in ("metadata", "errors", "rate_limits", "reasoning"):
            outcome = run(example, **self.settings(MAX_TOKENS="8"))
            self.assertSucceeded(outcome)
            self.assertGreater(len(outcome.out), 10, outcome)


# What the endpoint's page names: its parameters, roles and members of an answer.
NAMES_OF_THE_PAGE = set(
    """model messages system user assistant tool function developer temperature max_tokens max_completion_tokens top_p top_k
    stream stream_options stop n presence_penalty frequency_penalty logit_bias logprobs top_logprobs response_format tools
    tool_choice parallel_tool_calls seed service_tier reasoning_effort reasoning_options metadata cache_control
    prompt_cache_key id object created choices usage [DONE]""".split()
)


class Docs(CTest):
    """The docs quote the examples."""

    def test_every_excerpt_is_what_stands_in_its_example(self):
        quoted = 0
        sources = {path.name: path.read_text() for path in (REPOSITORY / "examples" / "c").glob("*.[ch]")}
        for page in sorted((REPOSITORY / "docs").glob("*.md")):
            for name, block in re.findall(
                r"\*\*From \[(\w+\.[ch])\]\([^)]*\)\*\*\n\n```c\n(.*?)```", page.read_text(), re.S
            ):
                with self.subTest(page=page.name, example=name):
                    lines = [line.strip() for line in block.splitlines() if line.strip()]
                    there = [line.strip() for line in sources[name].splitlines() if line.strip()]
                    at = [place for place in range(len(there)) if there[place : place + len(lines)] == lines]
                    self.assertTrue(at, f"{name} has no such lines:\n{block}")
                    quoted += 1
        self.assertGreater(quoted, 10)

    def test_what_the_page_of_conversations_shows_compiles(self):
        page = (REPOSITORY / "docs" / "conversation.md").read_text()
        source = "#include <helio.h>\n#include <stdio.h>\nint main(void) { return 0; }\n"
        for place, block in enumerate(re.findall(r"^```c\n(.*?)^```", page, re.S | re.M)):
            chat = "" if "helio_chat *chat" in block else ", helio_chat *chat"
            source += f"void f{place}(helio_client *client{chat});\n"
            source += f"void f{place}(helio_client *client{chat}) {{\n(void)client;\n{block}}}\n"
        path = build.programs / "conversation.c"
        path.write_text(source)
        compile_program(path, "conversation")

    def test_every_json_block_is_json(self):
        for page in sorted((REPOSITORY / "docs").glob("*.md")):
            for block in re.findall(r"^```json\n(.*?)^```", page.read_text(), re.S | re.M):
                with self.subTest(page=page.name):
                    json.loads(block)

    def test_each_name_of_the_endpoint_is_documented_shown_and_tested_where_it_says(self):
        page = (REPOSITORY / "docs" / "endpoint.md").read_text()
        rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
        rows = [row for row in rows if row[0] not in ("name", "---")]
        scenarios, programs = REPOSITORY / "tests" / "scenarios", REPOSITORY / "tests" / "c"
        classes = "".join(path.read_text() for path in programs.glob("*.py"))
        for row in rows:
            with self.subTest(row=row[0]):
                self.assertEqual((len(row), "" in row), (4, False), row)
                tests = re.findall(r"`([^`]+)`", row[3])
                self.assertTrue(tests)
                for test in tests:
                    file, _, name = test.partition("::")
                    if name:
                        source = (scenarios / f"{file}.rs").read_text()
                        self.assertIn(f"#[test]\nfn {name}(", source, test)
                    else:
                        kind, _, name = test.partition(".")
                        body = classes.partition(f"\nclass {kind}(")[2].partition("\nclass ")[0]
                        if kind == "RealModel":
                            body += classes.partition("\nclass Real:")[2].partition("\nclass ")[0]
                        self.assertIn(f"    def {name}(", body, test)
        names = {name for row in rows for name in re.findall(r"`([^`]+)`", row[0])}
        self.assertLessEqual(NAMES_OF_THE_PAGE, names)
        parameters = (REPOSITORY / "docs" / "parameters.md").read_text().partition("## Inside them")[0]
        parameters = set(re.findall(r"^\| \**`(\w+)`", parameters, re.M))
        self.assertLessEqual(parameters, names)
        self.assertEqual(parameters, set(VALUES))

    def test_every_link_leads_somewhere(self):
        pages = [*(REPOSITORY / "docs").glob("*.md"), REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]
        for page in pages:
            text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.S)
            for target in re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", text):
                with self.subTest(page=page.name, target=target):
                    self.assertTrue((page.parent / target).exists())


CASES = (Tools, Vision, Json, Reasoning, Logprobs, Choices, Parameters, Docs)
