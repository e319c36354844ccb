//! Every parameter and message of the endpoint: it goes out byte for byte, and `validate` knows what it may be.
//!
//! Each row has values that are right, sent under `"strict"`, and values that are wrong: refused under `"strict"` with
//! the place, what was found and what is allowed, sent with a line in the log under `"warn"`, and simply sent under `"off"`.

use std::collections::BTreeSet;
use std::path::Path;

use helio::abi::*;
use serde_json::json;

use crate::support::ask::answering;
use crate::support::c::{Client, config_of, has_feature};
use crate::support::chat::ASK;
use crate::support::server::Server;

/// A parameter, values that are right, and those that are not: the value, where the fault is, what is allowed there.
struct Row {
    name: &'static str,
    right: &'static [&'static str],
    wrong: &'static [(&'static str, &'static str, &'static str)],
}

const fn row(
    name: &'static str,
    right: &'static [&'static str],
    wrong: &'static [(&'static str, &'static str, &'static str)],
) -> Row {
    Row { name, right, wrong }
}

const PENALTY: &[(&str, &str, &str)] = &[
    ("2.01", "", "a number from -2 to 2"),
    ("-2.5", "", "a number from -2 to 2"),
    ("\"1\"", "", "a number from -2 to 2, or null"),
];
const FLAG: &[(&str, &str, &str)] = &[("1", "", "true or false"), ("\"true\"", "", "true or false")];
const TEXT: &[(&str, &str, &str)] = &[("7", "", "a string"), ("null", "", "a string"), ("{}", "", "a string")];

const SAMPLING: &[Row] = &[
    row(
        "temperature",
        &["0", "2", "0.70", "1e0", "null"],
        &[
            ("2.0001", "", "a number from 0 to 2"),
            ("-0.1", "", "a number from 0 to 2"),
            ("\"hot\"", "", "a number from 0 to 2, or null"),
            ("1e400", "", "a number from 0 to 2"),
        ],
    ),
    row(
        "top_p",
        &["0", "1", "0.95", "null"],
        &[("1.1", "", "a number from 0 to 1"), ("[]", "", "a number from 0 to 1")],
    ),
    row("top_k", &["40", "1.0", "null"], &[("\"40\"", "", "a number, or null")]),
    row("presence_penalty", &["-2", "2.0", "null"], PENALTY),
    row("frequency_penalty", &["-2.0", "0.50", "null"], PENALTY),
    row(
        "logit_bias",
        &["{\"50256\":-100 , \"198\": 100}", "{}", "null"],
        &[
            ("{\"50256\":-101}", ".50256", "a whole number from -100 to 100"),
            ("{\"1\":0.5}", ".1", "a whole number from -100 to 100"),
            ("[]", "", "an object"),
        ],
    ),
    row(
        "seed",
        &["42", "-9223372036854775808", "9223372036854775807", "null"],
        &[("1.5", "", "a whole number, or null")],
    ),
    row("n", &["1", "128", "3", "null"], &[("0", "", "a whole number from 1 to 128"), ("129", "", "from 1 to 128")]),
    row(
        "service_tier",
        &["\"auto\"", "\"priority\"", "\"flex\"", "\"scale\"", "\"default\"", "null"],
        &[("\"standard\"", "", "\"auto\", \"default\", \"flex\", \"scale\", \"priority\", or null")],
    ),
];

const LENGTH: &[Row] = &[
    row(
        "max_tokens",
        &["1", "4096", "null"],
        &[
            ("0", "", "a whole number of at least 1, or null"),
            ("-1", "", "a whole number of at least 1"),
            ("1.5", "", "a whole number of at least 1"),
            ("\"64\"", "", "a whole number of at least 1"),
        ],
    ),
    row("max_completion_tokens", &["1", "64", "null"], &[("-5", "", "a whole number of at least 1, or null")]),
    row(
        "stop",
        &["\"END\"", "[]", "[\"a\",\"b\\n\",\"c\", \"d\"]", "null"],
        &[
            ("[\"a\",\"b\",\"c\",\"d\",\"e\"]", "", "0 to 4 elements"),
            ("[\"a\",1]", "[1]", "a string"),
            ("1", "", "a string, or a list of at most 4 strings, or null"),
        ],
    ),
    row(
        "verbosity",
        &["\"low\"", "\"medium\"", "\"high\"", "null"],
        &[("\"loud\"", "", "\"low\", \"medium\", \"high\"")],
    ),
    row(
        "prediction",
        &[
            "{\"type\":\"content\",\"content\":\"x\"}",
            "{\"type\":\"content\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}",
            "null",
        ],
        &[
            ("{\"type\":\"text\",\"content\":\"x\"}", ".type", "\"content\""),
            ("{\"type\":\"content\"}", ".content", "a string"),
        ],
    ),
    row("modalities", &["[\"text\"]", "null"], &[("[\"text\",\"audio\"]", "[1]", "\"text\"")]),
];

const STREAMING: &[Row] = &[
    row("stream", &["false", "null"], FLAG),
    row(
        "stream_options",
        &["{\"include_usage\":true, \"include_obfuscation\" : false}", "{}", "null"],
        &[("{\"include_usage\":\"yes\"}", ".include_usage", "true or false"), ("true", "", "an object, or null")],
    ),
];

const PROBABILITIES: &[Row] = &[
    row("logprobs", &["true", "false", "null"], FLAG),
    row(
        "top_logprobs",
        &["null", "20,\"logprobs\":true", "0,\"logprobs\": true"],
        &[
            ("21,\"logprobs\":true", "", "a whole number from 0 to 20, or null"),
            ("-1,\"logprobs\":true", "", "a whole number from 0 to 20"),
            ("5", "", "only with \"logprobs\": true"),
            ("5,\"logprobs\":false", "", "only with \"logprobs\": true"),
        ],
    ),
];

const FORMATS: &[Row] = &[row(
    "response_format",
    &[
        "{\"type\":\"text\"}",
        "{ \"type\" : \"json_object\" }",
        "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"strict\":true,\"description\":\"d\",\"schema\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"number\"}}}}}",
        "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"strict\":null}}",
    ],
    &[
        ("{\"type\":\"json\"}", ".type", "\"text\", \"json_object\", \"json_schema\""),
        ("{}", ".type", "\"text\", \"json_object\", \"json_schema\""),
        ("{\"type\":\"json_schema\"}", ".json_schema", "an object"),
        (
            "{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{}}}",
            ".json_schema.name",
            "a string that is not empty",
        ),
        (
            "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":\"{}\"}}",
            ".json_schema.schema",
            "an object",
        ),
        ("\"json_object\"", "", "an object with \"type\""),
    ],
)];

const TOOLS: &[Row] = &[
    row(
        "tools",
        &[
            "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"strict\":true,\"parameters\":{\"type\":\"object\",\"properties\":{}}}}]",
            "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"x-own\":1}},{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]",
            "[{\"type\":\"custom\",\"custom\":{\"name\":\"sql\",\"format\":{\"type\":\"grammar\",\"grammar\":{\"definition\":\"x\",\"syntax\":\"lark\"}}}}]",
            "[{\"type\":\"custom\",\"custom\":{\"name\":\"c\",\"description\":\"d\",\"format\":{\"type\":\"text\"}}}]",
        ],
        &[
            ("{}", "", "a list"),
            ("[{\"type\":\"retrieval\"}]", "[0].type", "\"function\", \"custom\""),
            ("[{\"function\":{\"name\":\"f\"}}]", "[0].type", "\"function\", \"custom\""),
            ("[{\"type\":\"function\",\"function\":{}}]", "[0].function.name", "a string that is not empty"),
            (
                "[{\"type\":\"function\",\"function\":{\"name\":\"\"}}]",
                "[0].function.name",
                "a string that is not empty",
            ),
            (
                "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":[]}}]",
                "[0].function.parameters",
                "an object",
            ),
            (
                "[{\"type\":\"custom\",\"custom\":{\"name\":\"c\",\"format\":{\"type\":\"grammar\",\"grammar\":{\"definition\":\"x\",\"syntax\":\"bnf\"}}}}]",
                "[0].custom.format.grammar.syntax",
                "\"lark\", \"regex\"",
            ),
        ],
    ),
    row(
        "tool_choice",
        &[
            "\"none\"",
            "\"auto\"",
            "\"required\"",
            "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}",
            "{\"type\":\"custom\",\"custom\":{\"name\":\"f\"}}",
            "{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[{\"type\":\"function\"}]}}",
        ],
        &[
            (
                "\"any\"",
                "",
                "\"none\", \"auto\", \"required\", or an object with \"type\": \"function\", \"custom\", \"allowed_tools\"",
            ),
            ("{\"type\":\"function\"}", ".function", "an object"),
            ("{\"type\":\"function\",\"function\":{\"name\":3}}", ".function.name", "a string that is not empty"),
            (
                "{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"none\",\"tools\":[]}}",
                ".allowed_tools.mode",
                "\"auto\", \"required\"",
            ),
        ],
    ),
    row("parallel_tool_calls", &["true", "false"], FLAG),
    row(
        "functions",
        &["[{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":\"object\"}}]"],
        &[("[]", "", "1 to 128 elements"), ("[{\"description\":\"d\"}]", "[0].name", "a string that is not empty")],
    ),
    row(
        "function_call",
        &["\"none\"", "\"auto\"", "{\"name\":\"f\"}"],
        &[("\"required\"", "", "\"none\", \"auto\""), ("{}", ".name", "a string that is not empty")],
    ),
];

const REASONING: &[Row] = &[
    row(
        "reasoning_effort",
        &["\"minimal\"", "\"low\"", "\"medium\"", "\"high\"", "null"],
        &[
            ("\"none\"", "", "\"minimal\", \"low\", \"medium\", \"high\", or null"),
            ("\"xhigh\"", "", "\"minimal\", \"low\", \"medium\", \"high\", or null"),
        ],
    ),
    row(
        "reasoning_options",
        &["{\"budget_tokens\":2048}", "{\"budget_tokens\":-1,\"thinking_level\":\"high\"}"],
        &[
            ("{}", ".budget_tokens", "a whole number"),
            ("{\"budget_tokens\":\"many\"}", ".budget_tokens", "a whole number"),
            ("{\"budget_tokens\":1,\"thinking_level\":\"medium\"}", ".thinking_level", "\"low\", \"high\""),
        ],
    ),
    row(
        "context_editing",
        &[
            "{\"enabled\":true}",
            "{\"enabled\":true,\"clear_tool_uses\":{\"trigger\":100000,\"keep\":3,\"clear_at_least\":1,\"exclude_tools\":[\"f\"],\"clear_tool_inputs\":false},\"clear_thinking\":{\"keep\":\"all\"}}",
            "{\"enabled\":false,\"clear_thinking\":{\"keep\":1}}",
        ],
        &[
            ("{}", ".enabled", "true or false"),
            ("{\"enabled\":true,\"clear\":1}", ".clear", "the gateway's strict schema refuses it"),
            ("{\"enabled\":true,\"clear_tool_uses\":{\"kept\":3}}", ".clear_tool_uses.kept", "did you mean \"keep\"?"),
            (
                "{\"enabled\":true,\"clear_thinking\":{\"keep\":\"none\"}}",
                ".clear_thinking.keep",
                "a whole number, or \"all\"",
            ),
        ],
    ),
];

const TRACKING: &[Row] = &[
    row("user", &["\"ada\"", "\"\""], TEXT),
    row("safety_identifier", &["\"hash\""], TEXT),
    row(
        "metadata",
        &["{\"feature\":\"chat\",\"build\": 7, \"deep\":{\"a\":[1]}}", "null"],
        &[("\"x\"", "", "an object, or null")],
    ),
    row("store", &["true", "null"], FLAG),
];

const CACHING: &[Row] = &[
    row(
        "cache_control",
        &["{\"type\":\"ephemeral\"}", "{\"type\":\"ephemeral\",\"ttl\":\"1h\"}", "{\"ttl\":\"5m\"}"],
        &[
            ("{\"type\":\"lasting\"}", ".type", "\"ephemeral\""),
            ("{\"ttl\":\"2h\"}", ".ttl", "\"5m\", \"1h\""),
            ("true", "", "an object"),
        ],
    ),
    row("prompt_cache_key", &["\"tenant-7\""], TEXT),
];

const GATEWAYS: &[Row] = &[
    row("prompt_id", &["\"abc123\""], &[("\"\"", "", "a string that is not empty"), ("7", "", "a string")]),
    row("inputs", &["{\"name\":\"Ada\",\"n\":1}"], &[("[]", "", "an object")]),
    row("environment", &["\"staging\""], TEXT),
    row("version_id", &["\"v1\""], TEXT),
    row(
        "plugins",
        &[
            "[{\"id\":\"web\"}]",
            "[{\"id\":\"web\",\"max_uses\":3,\"allowed_domains\":[\"a.org\"],\"blocked_domains\":[],\"user_location\":{\"type\":\"approximate\",\"country\":\"DE\",\"region\":\"BE\",\"city\":\"Berlin\",\"timezone\":\"Europe/Berlin\"}}]",
        ],
        &[
            ("[{\"id\":\"search\"}]", "[0].id", "\"web\""),
            ("[{\"id\":\"web\",\"max_uses\":0}]", "[0].max_uses", "a whole number of at least 1"),
            ("[{\"id\":\"web\",\"user_location\":{\"type\":\"exact\"}}]", "[0].user_location.type", "\"approximate\""),
        ],
    ),
    row(
        "image_generation",
        &["{\"aspect_ratio\":\"16:9\",\"image_size\":\"2K\"}"],
        &[("{\"aspect_ratio\":\"16:9\"}", ".image_size", "a string")],
    ),
];

const MODELS: &[Row] = &[row(
    "model",
    &[
        "\"gpt-4o-mini\"",
        "\"claude-3-opus-20240229\"",
        "\"gpt-4o-mini/openai,claude-3.5-haiku/anthropic,gemini-2.5-flash\"",
        "\"!openai,gpt-4o-mini\"",
        "\"claude-sonnet-4:online/anthropic\"",
        "\"gpt-4o/azure/7f9c\"",
        "\"openai/gpt-4o-mini\"",
        "\"ft:gpt-4o-mini:org:x/openai\"",
    ],
    &[
        ("\"\"", "", "a string that is not empty"),
        ("[\"a\",\"b\"]", "", "a string that is not empty"),
        ("null", "", "a string"),
    ],
)];

const MESSAGES: &[Row] = &[row(
    "messages",
    &[
        "[{\"role\":\"system\",\"content\":\"Be short.\"},{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]},{\"role\":\"user\",\"content\":\"Hi\",\"name\":\"ada\"}]",
        "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"What is it?\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image\\/png;base64,iVBORw0KGgo=\",\"detail\":\"low\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://example.org/a.png\"}}]}]",
        "[{\"role\":\"user\",\"content\":[{\"type\":\"document\",\"title\":\"t\",\"citations\":{\"enabled\":true},\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"d\"}}]}]",
        "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null,\"refusal\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": 1}\"},\"extra_content\":{\"google\":{\"thought_signature\":\"s\"}}},{\"id\":\"c2\",\"type\":\"custom\",\"custom\":{\"name\":\"g\",\"input\":\"x\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"2\"},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":[{\"type\":\"text\",\"text\":\"1\"}]}]",
        "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\",\"reasoning\":\"r\",\"reasoning_details\":[{\"thinking\":\"r\",\"signature\":\"s\"}],\"images\":[],\"audio\":{\"id\":\"a1\"}},{\"role\":\"user\",\"content\":\"c\"}]",
        "[{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"b\"},{\"type\":\"refusal\",\"refusal\":\"no\"}]},{\"role\":\"user\",\"content\":\"\"}]",
        "[{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"role\":\"function\",\"name\":\"f\",\"content\":null},{\"role\":\"function\",\"name\":\"f\",\"content\":\"1\"}]",
        "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"long\",\"cache_control\":{\"type\":\"ephemeral\"}}],\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"},\"unknown\":{\"passes\":true}}]",
        "[{\"\\u0072ole\":\"us\\u0065r\",\"content\":\"escapes\"}]",
    ],
    &[
        ("[]", "", "1 or more elements"),
        ("null", "", "a list: 1 or more elements"),
        ("[\"Hi\"]", "[0]", "an object with \"role\""),
        (
            "[{\"role\":\"bot\",\"content\":\"x\"}]",
            "[0].role",
            "\"system\", \"developer\", \"user\", \"assistant\", \"tool\", \"function\"",
        ),
        ("[{\"content\":\"x\"}]", "[0].role", "\"system\""),
        ("[{\"role\":\"user\"}]", "[0].content", "a string, or a list: 1 or more elements"),
        ("[{\"role\":\"user\",\"content\":null}]", "[0].content", "a string, or a list"),
        ("[{\"role\":\"user\",\"content\":[]}]", "[0].content", "1 or more elements"),
        (
            "[{\"role\":\"system\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x\"}}]}]",
            "[0].content[0].type",
            "\"text\"",
        ),
        (
            "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"picture.png\"}}]}]",
            "[0].content[0].image_url.url",
            "a URL",
        ),
        (
            "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"https://x\"}]}]",
            "[0].content[0].image_url",
            "an object",
        ),
        (
            "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x\",\"detail\":\"max\"}}]}]",
            "[0].content[0].image_url.detail",
            "\"auto\", \"low\", \"high\"",
        ),
        (
            "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"input_audio\",\"input_audio\":{}}]}]",
            "[0].content[1].type",
            "\"text\", \"image_url\", \"document\"",
        ),
        (
            "[{\"role\":\"tool\",\"tool_call_id\":\"c9\",\"content\":\"1\"}]",
            "[0].tool_call_id",
            "the id of a call in \"tool_calls\" of an earlier message",
        ),
        ("[{\"role\":\"tool\",\"content\":\"1\"}]", "[0].tool_call_id", "a string that is not empty"),
        (
            "[{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"1\"},{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}]",
            "[0].tool_call_id",
            "an earlier message",
        ),
        ("[{\"role\":\"assistant\",\"tool_calls\":[]}]", "[0].tool_calls", "1 or more elements"),
        (
            "[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}]}]",
            "[0].tool_calls[0].function.arguments",
            "a string",
        ),
        (
            "[{\"role\":\"assistant\",\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}]",
            "[0].tool_calls[0].id",
            "a string that is not empty",
        ),
        ("[{\"role\":\"function\",\"content\":\"x\"}]", "[0].name", "a string that is not empty"),
        (
            "[{\"role\":\"user\",\"content\":\"x\",\"cache_control\":{\"ttl\":\"1d\"}}]",
            "[0].cache_control.ttl",
            "\"5m\", \"1h\"",
        ),
    ],
)];

const GROUPS: [&[Row]; 12] = [
    SAMPLING,
    LENGTH,
    STREAMING,
    PROBABILITIES,
    FORMATS,
    TOOLS,
    REASONING,
    TRACKING,
    CACHING,
    GATEWAYS,
    MODELS,
    MESSAGES,
];

/// A request with this in it, written in a way that only the host would choose.
fn body(name: &str, value: &str) -> String {
    let others = [("model", "\"m\""), ("messages", "[ {\"role\":\"user\" ,\"content\":\"H\\u0069\"} ]")];
    let others = others.iter().filter(|(other, _)| *other != name).map(|(name, value)| format!("\"{name}\":{value},"));
    format!("{{ {}\n\t\"{name}\" : {value}}}", others.collect::<String>())
}

fn client(server: &Server, mode: &str) -> Client {
    Client::with(server, json!({"validate": mode}))
}

/// All that is promised of these rows.
#[track_caller]
fn hold(rows: &[Row]) {
    let server = answering();
    let (strict, warning, off) = (client(&server, "strict"), client(&server, "warn"), client(&server, "off"));
    let mut sent = Vec::new();
    for row in rows {
        for value in row.right {
            let body = body(row.name, value);
            for client in [&strict, &warning] {
                client.ask(&body).ok();
                sent.push(body.clone());
            }
        }
        for (value, place, allowed) in row.wrong {
            let (body, path) = (body(row.name, value), format!("{}{place}: found ", row.name));
            let failure = strict.ask(&body);
            failure.refused(HELIO_ERR_INVALID_ARGUMENT).says(&[&path, "allowed: ", allowed]);
            let before = warning.logs().len();
            warning.ask(&body).ok();
            let logs = warning.logs();
            let is_told = |line: &&String| line.contains(&path) && line.contains(allowed);
            assert!(logs[before..].iter().any(|line| is_told(&line)), "{path} … {allowed} in {:#?}", &logs[before..]);
            off.ask(&body).ok();
            sent.extend([body.clone(), body]);
        }
    }
    let came: Vec<_> = server.requests().iter().map(|request| request.text().to_string()).collect();
    assert_eq!(came, sent, "byte for byte, in order");
    assert!(off.logs().iter().all(|line| !line.contains("may be refused")), "{:?}", off.logs());
    let is_warned_of = |line: &&String| line.contains("may be refused");
    let wrong: usize = rows.iter().map(|row| row.wrong.len()).sum();
    assert_eq!(warning.logs().iter().filter(is_warned_of).count(), wrong, "one line each: {:#?}", warning.logs());
}

#[test]
fn sampling_arrives_and_is_checked() {
    hold(SAMPLING);
}

#[test]
fn limits_of_length_arrive_and_are_checked() {
    hold(LENGTH);
}

#[test]
fn streaming_options_arrive_and_are_checked() {
    hold(STREAMING);
}

#[test]
fn log_probabilities_arrive_and_are_checked() {
    hold(PROBABILITIES);
}

#[test]
fn response_formats_arrive_and_are_checked() {
    hold(FORMATS);
}

#[test]
fn tools_arrive_and_are_checked() {
    hold(TOOLS);
}

#[test]
fn reasoning_options_arrive_and_are_checked() {
    hold(REASONING);
}

#[test]
fn tracking_arrives_and_is_checked() {
    hold(TRACKING);
}

#[test]
fn cache_settings_arrive_and_are_checked() {
    hold(CACHING);
}

#[test]
fn the_gateways_own_arrive_and_are_checked() {
    hold(GATEWAYS);
}

#[test]
fn models_arrive_and_are_checked() {
    hold(MODELS);
}

#[test]
fn messages_of_every_role_arrive_and_are_checked() {
    hold(MESSAGES);
}

#[test]
fn every_parameter_of_the_page_is_tried_here() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/parameters.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let table = page.split("## Inside them").next().unwrap_or_default();
    let names = table.lines().filter_map(|line| line.strip_prefix("| ")?.trim_start_matches('*').strip_prefix('`'));
    let documented: BTreeSet<_> = names.filter_map(|rest| rest.split('`').next()).collect();
    let tried: BTreeSet<_> = GROUPS.iter().flat_map(|rows| rows.iter().map(|row| row.name)).collect();
    assert_eq!(documented, tried, "docs/parameters.md, and the rows here");
}

// ---- the check as a whole ----

#[test]
fn unknown_names_are_found_with_the_nearest_that_exists() {
    assert_eq!(has_feature("validate"), 1);
    let server = answering();
    let client = client(&server, "strict");
    for (name, words) in [
        ("max_token", "did you mean \"max_tokens\"?"),
        ("models", "did you mean \"model\"?"),
        ("provider", "the gateway's strict schema refuses it"),
        ("audio", "the gateway's strict schema refuses it"),
        ("web_search_options", "the gateway's strict schema refuses it"),
    ] {
        let found = format!("{name}: found an unknown name, allowed: ");
        client.ask(body(name, "1")).refused(HELIO_ERR_INVALID_ARGUMENT).says(&[&found, words]);
    }
    assert_eq!(server.connections(), 0);
    client.ask(body("\\u006e", "2")).ok();
}

#[test]
fn without_messages_a_prompt_must_be_named() {
    let server = answering();
    let client = client(&server, "strict");
    client.ask(r#"{"model":"m","prompt_id":"p","inputs":{"a":1}}"#).ok();
    let failure = client.ask(r#"{"model":"m"}"#);
    failure.refused(HELIO_ERR_INVALID_ARGUMENT).says(&["messages: found nothing", "\"prompt_id\""]);
    let failure = client.ask(r#"{"messages":[{"role":"user","content":"x"}]}"#);
    failure.refused(HELIO_ERR_INVALID_ARGUMENT).says(&["model: found nothing", "a string that is not empty"]);
}

#[test]
fn a_fifth_prompt_cache_breakpoint_is_found() {
    let server = answering();
    let client = client(&server, "strict");
    let part = json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}});
    let ask = |parts: usize| {
        let content = vec![part.clone(); parts];
        client.ask(json!({"model": "m", "messages": [{"role": "user", "content": content}]}).to_string())
    };
    ask(4).ok();
    let failure = ask(5);
    failure
        .refused(HELIO_ERR_INVALID_ARGUMENT)
        .says(&["messages[0].content[4].cache_control: found one more", "at most 4"]);
}

#[test]
fn all_findings_are_told_at_once_and_very_many_are_counted() {
    let server = answering();
    let client = client(&server, "strict");
    let failure = client.ask(r#"{"model":"","messages":[],"temperature":3,"n":0}"#);
    let failure = failure.refused(HELIO_ERR_INVALID_ARGUMENT);
    failure.says(&["model: found \"\"", "messages: found 0 elements", "temperature: found 3", "n: found 0"]);
    failure.says(&["not sent", "\"validate\""]);
    let many: String = (0..1000).map(|n| format!(",\"x{n}\":{n}")).collect();
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}]{many}}}"#);
    let failure = client.ask(&body);
    let failure = failure.refused(HELIO_ERR_INVALID_ARGUMENT).says(&["x0: ", "and 990 more"]);
    assert!(failure.message.len() < 4000, "{}", failure.message);
    let warning = self::client(&server, "warn");
    warning.ask(&body).ok();
    assert_eq!(warning.logs().iter().filter(|line| line.contains("may be refused")).count(), 11);
}

#[test]
fn what_is_shown_of_a_value_is_short_and_holds_no_secret() {
    let server = answering();
    let client = Client::with(&server, json!({"validate": "strict", "headers": {"x-token": "tok-0123456789"}}));
    let failure = client.ask(body("service_tier", "\"tok-0123456789\""));
    let failure = failure.refused(HELIO_ERR_INVALID_ARGUMENT);
    assert!(!failure.message.contains("tok-0123456789"), "{}", failure.message);
    let long = format!("\"{}\"", "x".repeat(100_000));
    client.ask(body("service_tier", &long)).refused(HELIO_ERR_INVALID_ARGUMENT).says(&["a string of 100000 bytes"]);
    let name = "y".repeat(100_000);
    assert!(client.ask(body(&name, "1")).refused(HELIO_ERR_INVALID_ARGUMENT).message.len() < 1000);
}

#[test]
fn a_request_can_have_its_own_check() {
    let server = answering();
    let wrong = body("temperature", "3");
    let strict = client(&server, "strict");
    strict.call(&wrong).overrides(&json!({"validate": "off"})).run().ok();
    strict.call(&wrong).overrides(&json!({"validate": null})).run().ok();
    let lax = Client::of(&server);
    lax.ask(&wrong).ok();
    assert!(lax.logs().iter().all(|line| !line.contains("may be refused")), "off towards other servers");
    lax.call(&wrong).overrides(&json!({"validate": "strict"})).run().refused(HELIO_ERR_INVALID_ARGUMENT);
    lax.call(ASK)
        .overrides(&json!({"validate": "loose"}))
        .run()
        .refused(HELIO_ERR_INVALID_ARGUMENT)
        .says(&["validate", "\"off\", \"warn\", \"strict\""]);
}

#[test]
fn towards_the_gateway_it_is_warned_by_itself() {
    // Its name, behind a proxy of ours that refuses to go there.
    let proxy = Server::raw(|conn| conn.answer(403, &[], "no"));
    for (url, warns) in [
        ("http://ai-gateway.helicone.ai/v1", true),
        ("http://oai.Helicone.ai/v1", true),
        ("http://helicone.ai.example/v1", false),
        ("http://nothelicone.ai/v1", false),
    ] {
        let mut config = config_of(url);
        config["proxy"] = json!(proxy.origin());
        let client = Client::new(&config);
        client.ask(body("temperature", "3")).fails(HELIO_ERR_PROXY);
        let told = client.logs().iter().any(|line| line.contains("may be refused: temperature: found 3"));
        assert_eq!(told, warns, "{url}: {:#?}", client.logs());
    }
}

#[test]
fn a_refusal_is_explained_by_what_was_found() {
    let server = Server::new(|_, conn| conn.answer(400, &[], "{\"error\":\"Invalid request body\"}"));
    let (wrong, right) = (body("temperature", "3"), body("temperature", "1"));
    let told = ["Invalid request body", "would not take", "temperature: found 3, allowed: a number from 0 to 2"];
    let ask = |mode: &str, body: &str| client(&server, mode).ask(body).fails(HELIO_ERR_BAD_REQUEST).clone();
    ask("warn", &wrong).says(&told);
    for (mode, body) in [("warn", &right), ("off", &wrong)] {
        let failure = ask(mode, body);
        assert!(!failure.message.contains("would not take"), "{}", failure.message);
    }
    let busy = Server::new(|_, conn| conn.answer(401, &[], "no"));
    let failure = client(&busy, "warn").ask(&wrong).fails(HELIO_ERR_AUTHENTICATION).message.clone();
    assert!(!failure.contains("temperature"), "{failure}");
}

#[test]
fn deep_and_broken_bodies_are_no_trouble_to_the_check() {
    let server = answering();
    let client = client(&server, "strict");
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    client.ask(body("metadata", &deep)).ok();
    client.ask("{\"model\":").refused(HELIO_ERR_INVALID_JSON);
    client.ask("[]").refused(HELIO_ERR_INVALID_JSON);
}
