import CHelio

/// The messages of a conversation. Belongs to no client; one task at a time uses it.
public final class Chat {
    private let raw: OpaquePointer

    public init() throws(HelioError) {
        var chat: OpaquePointer?
        try HelioError.check(helio_chat_create(&chat))
        guard let chat else { throw HelioError(HELIO_ERR_INTERNAL) }
        raw = chat
    }

    deinit { helio_chat_free(raw) }

    /// How many messages there are.
    public var count: Int { helio_chat_count(raw) }

    /// Add a text; of "system", "developer", "user" or "assistant".
    public func add(role: String, text: String) throws(HelioError) {
        try check(withText(text) { helio_chat_add(raw, role, $0, $1) })
    }

    /// Add a message of any kind as JSON, or an array of them, all or none.
    public func add(json message: String) throws(HelioError) { try check(helio_chat_add_json(raw, message)) }

    /// Add the assistant's message of an answer as servers want it back: tool calls, reasoning and signatures included.
    public func add(reply completion: Completion) throws(HelioError) {
        try check(helio_chat_add_reply(raw, completion.data))
    }

    /// Add what a tool answered.
    public func add(toolResult text: String, for toolCallID: String) throws(HelioError) {
        try check(withText(text) { helio_chat_add_tool_result(raw, toolCallID, $0, $1) })
    }

    /// Remove messages, from the place of the first one.
    public func remove(first: Int, count: Int) throws(HelioError) { try check(helio_chat_remove(raw, first, count)) }

    /// The body of a request: these parameters (JSON, without "messages"), and the messages behind them.
    public func request(parameters: String? = nil) throws(HelioError) -> String {
        var body: OpaquePointer?
        try check(withText(parameters) { start, _ in helio_chat_request(raw, start, &body) })
        return taken(body) ?? ""
    }

    /// The error stays the chat's.
    private func check(_ status: Int32) throws(HelioError) {
        if status != HELIO_OK { throw HelioError(status, helio_chat_error(raw)) }
    }
}

/// One value of a JSON text by its JSON Pointer (RFC 6901): a string comes out unescaped, anything else as it is written. nil:
/// nothing is there.
public func jsonGet(_ json: String, _ pointer: String) throws(HelioError) -> String? {
    var value: OpaquePointer?
    let status = withText(json) { helio_json_get($0, $1, pointer, &value) }
    if status == HELIO_ERR_NOT_FOUND { return nil }
    try HelioError.check(status)
    return taken(value)
}
