//! What the endpoint takes: the one table that requests are checked by and that `docs/parameters.md` is made from.
//!
//! Types, ranges and words are those of the endpoint's page; which names there are, what must be there and where null
//! may stand is what the gateway's strict schema says (pass-through billing). Objects below the first level are open
//! unless the schema closes them: a name it does not know passes there.

use super::shape::Shape::{self, *};
use super::shape::{ANY_NUMBER, MOST, Member, may, must};

/// A parameter: a member of the request itself.
pub struct Parameter {
    /// Its name, what it may be, whether it must be there.
    pub member: Member,
    /// What holds when it is absent.
    #[cfg(test)]
    pub default: &'static str,
    /// Who takes it, and what others do.
    #[cfg(test)]
    pub servers: &'static str,
}

/// The last two are for the page alone and cost the library nothing.
const fn parameter(member: Member, default: &'static str, servers: &'static str) -> Parameter {
    #[cfg(not(test))]
    let _for_the_page = (default, servers);
    Parameter {
        member,
        #[cfg(test)]
        default,
        #[cfg(test)]
        servers,
    }
}

/// A parameter that means nothing, and is refused, without another.
pub struct Need {
    /// The one that needs,
    pub name: &'static str,
    /// when it has a value other than null,
    pub needed: &'static str,
    /// the other with this value.
    pub value: &'static str,
}

/// What needs what.
pub const NEEDS: &[Need] = &[Need { name: "top_logprobs", needed: "logprobs", value: "true" }];

/// The conversation.
pub const MESSAGES: &str = "messages";
/// With this it may be absent: the gateway has it.
pub const PROMPT: &str = "prompt_id";

const ALL: &str = "all";
const GATEWAY: &str = "the hosted gateway";

/// The walk has a bit for each.
const _: () = assert!(PARAMETERS.len() <= u64::BITS as usize);

/// Every parameter, in the order of the page.
pub const PARAMETERS: &[Parameter] = &[
    parameter(must("model", Name), "", "all; on the hosted gateway also lists, see [models.md](models.md)"),
    parameter(
        may(MESSAGES, List(&MESSAGE, 1, MOST)),
        "",
        "all; must be there, but with `prompt_id`. Anthropic's route passes `developer` on unmapped",
    ),
    parameter(may("temperature", Either(&[Number(0.0, 2.0), Null])), "the model's", "all; Anthropic up to 1"),
    parameter(
        may("max_tokens", TOKENS),
        "the model's; 1024 on Anthropic's route",
        "all; OpenAI's reasoning models want `max_completion_tokens`",
    ),
    parameter(
        may("max_completion_tokens", TOKENS),
        "the model's; 1024 on Anthropic's route",
        "OpenAI, the gateways, llama.cpp, vLLM; Mistral refuses it",
    ),
    parameter(may("top_p", Either(&[Number(0.0, 1.0), Null])), "1", ALL),
    parameter(
        may("top_k", Either(&[ANY_NUMBER, Null])),
        "the model's",
        "Anthropic, Gemini, llama.cpp, vLLM; ignored where there is none; the self-hosted gateway drops it",
    ),
    parameter(may("stream", FLAG_OR_NULL), "`false`", ALL),
    parameter(
        may("stream_options", Either(&[Object(STREAM_OPTIONS), Null])),
        "the hosted gateway asks for usage by itself",
        "OpenAI, the gateways, llama.cpp, vLLM, Ollama; Mistral refuses it",
    ),
    parameter(may("stop", Either(&[Text, List(&Text, 0, 4), Null])), "none", ALL),
    parameter(
        may("n", Either(&[Whole(1, 128), Null])),
        "1",
        "OpenAI, vLLM, llama.cpp up to its slots; Anthropic only 1",
    ),
    parameter(may("presence_penalty", PENALTY), "0", "OpenAI, llama.cpp, vLLM, Ollama; Anthropic ignores it"),
    parameter(may("frequency_penalty", PENALTY), "0", "OpenAI, llama.cpp, vLLM, Ollama; Anthropic ignores it"),
    parameter(
        may("logit_bias", Either(&[Map(&Whole(-100, 100)), Null])),
        "none",
        "OpenAI, llama.cpp, vLLM; an error on Anthropic's route",
    ),
    parameter(may("logprobs", FLAG_OR_NULL), "`false`", "OpenAI, llama.cpp, vLLM; never from Anthropic and Gemini"),
    parameter(may("top_logprobs", Either(&[Whole(0, 20), Null])), "0", "as `logprobs`, which must be `true`"),
    parameter(
        may("response_format", Tagged("type", RESPONSE_FORMATS)),
        "`{\"type\":\"text\"}`",
        "OpenAI, the gateways, llama.cpp, vLLM, Ollama; Anthropic's own endpoint ignores it",
    ),
    parameter(may("tools", List(&TOOL, 0, MOST)), "none", "all; `custom` tools: OpenAI"),
    parameter(
        may("tool_choice", Either(&[Word(&["none", "auto", "required"]), Tagged("type", TOOL_CHOICES)])),
        "`\"auto\"` with tools",
        "all; `required` and `none` are not mapped by every version of Anthropic's route",
    ),
    parameter(may("parallel_tool_calls", Flag), "`true`", "OpenAI, the hosted gateway, vLLM, llama.cpp"),
    parameter(
        may("functions", List(&Object(FUNCTION), 1, 128)),
        "none",
        "OpenAI (old models); an error on Anthropic's route: use `tools`",
    ),
    parameter(
        may("function_call", Either(&[Word(&["none", "auto"]), Object(&[must("name", Name)])])),
        "`\"auto\"` with functions",
        "as `functions`: use `tool_choice`",
    ),
    parameter(may("user", Text), "none", ALL),
    parameter(may("safety_identifier", Text), "none", "OpenAI, the hosted gateway"),
    parameter(
        may("seed", Either(&[Whole(i64::MIN, i64::MAX), Null])),
        "none",
        "OpenAI, llama.cpp, vLLM, Ollama; Anthropic ignores it",
    ),
    parameter(
        may("service_tier", Either(&[Word(&["auto", "default", "flex", "scale", "priority"]), Null])),
        "`\"auto\"`",
        "OpenAI and the hosted gateway",
    ),
    parameter(may("store", FLAG_OR_NULL), "`false`", "OpenAI; Mistral refuses it"),
    parameter(
        may("modalities", Either(&[List(&Word(&["text"]), 0, MOST), Null])),
        "`[\"text\"]`",
        "OpenAI; `audio` not through the hosted gateway",
    ),
    parameter(may("prediction", Either(&[Object(PREDICTION), Null])), "none", "OpenAI"),
    parameter(
        may("verbosity", Either(&[Word(&["low", "medium", "high"]), Null])),
        "`\"medium\"`",
        "OpenAI's GPT-5 family",
    ),
    parameter(
        may("reasoning_effort", Either(&[Word(&["minimal", "low", "medium", "high"]), Null])),
        "the model's",
        "reasoning models of OpenAI, Anthropic, Gemini, xAI through the gateway; vLLM, llama.cpp by template",
    ),
    parameter(
        may("reasoning_options", Object(REASONING_OPTIONS)),
        "none",
        "the hosted gateway, for Anthropic and Gemini (which needs `reasoning_effort`, too); the self-hosted one drops it",
    ),
    parameter(may("metadata", Either(&[Map(&Any), Null])), "none", "the hosted gateway, OpenAI (16 members of text)"),
    parameter(
        may("cache_control", Object(CACHE_CONTROL)),
        "a breakpoint on the last message, on Anthropic's route",
        "the hosted gateway, for Anthropic; Vertex and Bedrock only `5m`; the self-hosted one drops it",
    ),
    parameter(may("prompt_cache_key", Text), "none", "OpenAI, the hosted gateway"),
    parameter(may("context_editing", Closed(CONTEXT_EDITING)), "none", "the hosted gateway, for Anthropic"),
    parameter(
        may("image_generation", Object(&[must("aspect_ratio", Text), must("image_size", Text)])),
        "none",
        "the hosted gateway, for Gemini's image models",
    ),
    parameter(may("plugins", List(&Object(PLUGIN), 0, MOST)), "none", GATEWAY),
    parameter(may(PROMPT, Name), "none", GATEWAY),
    parameter(may("inputs", Map(&Any)), "none", "the hosted gateway, with `prompt_id`"),
    parameter(may("environment", Text), "`\"production\"`", "the hosted gateway, with `prompt_id`"),
    parameter(may("version_id", Text), "the environment's", "the hosted gateway, with `prompt_id`"),
];

const TOKENS: Shape = Either(&[Whole(1, i64::MAX), Null]);
const PENALTY: Shape = Either(&[Number(-2.0, 2.0), Null]);
const FLAG_OR_NULL: Shape = Either(&[Flag, Null]);

/// A message, by its role.
pub const MESSAGE: Shape = Tagged(
    "role",
    &[
        ("system", PLAIN),
        ("developer", PLAIN),
        ("user", USER),
        ("assistant", ASSISTANT),
        ("tool", TOOL_RESULT),
        ("function", FUNCTION_RESULT),
    ],
);

const PLAIN: &[Member] =
    &[must("content", Either(&[Text, List(&Tagged("type", TEXT_PARTS), 1, MOST)])), may("name", Text), CACHED];
const USER: &[Member] =
    &[must("content", Either(&[Text, List(&Tagged("type", USER_PARTS), 1, MOST)])), may("name", Text), CACHED];
const ASSISTANT: &[Member] = &[
    may("content", Either(&[Text, List(&Tagged("type", ASSISTANT_PARTS), 1, MOST), Null])),
    may("refusal", Either(&[Text, Null])),
    may("name", Text),
    may("audio", Either(&[Object(&[must("id", Name)]), Null])),
    may("tool_calls", List(&Tagged("type", TOOL_CALLS), 1, MOST)),
    may("function_call", Either(&[Object(&[must("name", Text), must("arguments", Text)]), Null])),
    may("reasoning", Either(&[Text, Null])),
    may("reasoning_details", Either(&[List(&Map(&Any), 0, MOST), Null])),
    may("images", Either(&[List(&Map(&Any), 0, MOST), Null])),
    CACHED,
];
const TOOL_RESULT: &[Member] =
    &[must("content", Either(&[Text, List(&Tagged("type", TEXT_PARTS), 1, MOST)])), must("tool_call_id", Name), CACHED];
const FUNCTION_RESULT: &[Member] = &[must("content", Either(&[Text, Null])), must("name", Name)];

const TEXT_PARTS: &[(&str, &[Member])] = &[("text", TEXT_PART)];
const USER_PARTS: &[(&str, &[Member])] = &[("text", TEXT_PART), ("image_url", IMAGE_PART), ("document", DOCUMENT_PART)];
const ASSISTANT_PARTS: &[(&str, &[Member])] = &[("text", TEXT_PART), ("refusal", &[must("refusal", Text)])];
const TEXT_PART: &[Member] = &[must("text", Text), CACHED];
const IMAGE_PART: &[Member] =
    &[must("image_url", Object(&[must("url", Url), may("detail", Word(&["auto", "low", "high"]))])), CACHED];
const DOCUMENT_PART: &[Member] = &[
    must("source", Object(&[must("type", Word(&["text"])), must("media_type", Text), must("data", Text)])),
    may("title", Text),
    may("citations", Object(&[may("enabled", Flag)])),
    CACHED,
];

const TOOL_CALLS: &[(&str, &[Member])] = &[
    ("function", &[must("id", Name), must("function", Object(&[must("name", Name), must("arguments", Text)]))]),
    ("custom", &[must("id", Name), must("custom", Object(&[must("name", Name), must("input", Text)]))]),
];

const TOOL: Shape = Tagged(
    "type",
    &[("function", &[must("function", Object(TOOL_FUNCTION))]), ("custom", &[must("custom", Object(CUSTOM_TOOL))])],
);
const FUNCTION: &[Member] = &[must("name", Name), may("description", Text), may("parameters", Map(&Any))];
const TOOL_FUNCTION: &[Member] =
    &[must("name", Name), may("description", Text), may("parameters", Map(&Any)), may("strict", FLAG_OR_NULL)];
const CUSTOM_TOOL: &[Member] = &[
    must("name", Name),
    may("description", Text),
    may("format", Tagged("type", &[("text", &[]), ("grammar", &[must("grammar", Object(GRAMMAR))])])),
];
const GRAMMAR: &[Member] = &[must("definition", Text), must("syntax", Word(&["lark", "regex"]))];
const TOOL_CHOICES: &[(&str, &[Member])] = &[
    ("function", &[must("function", Object(&[must("name", Name)]))]),
    ("custom", &[must("custom", Object(&[must("name", Name)]))]),
    (
        "allowed_tools",
        &[must(
            "allowed_tools",
            Object(&[must("mode", Word(&["auto", "required"])), must("tools", List(&Map(&Any), 0, MOST))]),
        )],
    ),
];

const RESPONSE_FORMATS: &[(&str, &[Member])] = &[
    ("text", &[]),
    ("json_object", &[]),
    (
        "json_schema",
        &[must(
            "json_schema",
            Object(&[
                must("name", Name),
                may("description", Text),
                may("schema", Map(&Any)),
                may("strict", FLAG_OR_NULL),
            ]),
        )],
    ),
];
const STREAM_OPTIONS: &[Member] = &[may("include_usage", Flag), may("include_obfuscation", Flag)];
const PREDICTION: &[Member] =
    &[must("type", Word(&["content"])), must("content", Either(&[Text, List(&Tagged("type", TEXT_PARTS), 1, MOST)]))];
const REASONING_OPTIONS: &[Member] =
    &[must("budget_tokens", Whole(i64::MIN, i64::MAX)), may("thinking_level", Word(&["low", "high"]))];

/// It may stand on the request, on a message and on a part.
const CACHED: Member = may("cache_control", Object(CACHE_CONTROL));
const CACHE_CONTROL: &[Member] = &[may("type", Word(&["ephemeral"])), may("ttl", Word(&["5m", "1h"]))];

const CONTEXT_EDITING: &[Member] = &[
    must("enabled", Flag),
    may(
        "clear_tool_uses",
        Closed(&[
            may("trigger", ANY_NUMBER),
            may("keep", ANY_NUMBER),
            may("clear_at_least", ANY_NUMBER),
            may("exclude_tools", List(&Text, 0, MOST)),
            may("clear_tool_inputs", Flag),
        ]),
    ),
    may("clear_thinking", Closed(&[may("keep", Either(&[Whole(i64::MIN, i64::MAX), Word(&["all"])]))])),
];
const PLUGIN: &[Member] = &[
    must("id", Word(&["web"])),
    may("max_uses", Whole(1, i64::MAX)),
    may("allowed_domains", List(&Text, 0, MOST)),
    may("blocked_domains", List(&Text, 0, MOST)),
    may(
        "user_location",
        Object(&[
            must("type", Word(&["approximate"])),
            may("country", Text),
            may("region", Text),
            may("city", Text),
            may("timezone", Text),
        ]),
    ),
];
