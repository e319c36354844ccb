import CHelio

/// One chunk of a stream.
public struct Chunk: Sendable {
    /// What choice 0 says in it; often nothing.
    public let text: String
    /// Likewise of its reasoning.
    public let reasoning: String
    /// The chunk's JSON, as the server sent it.
    public let data: String
}

/// A chat.completion: whole or, on an error, as far as it had come.
public struct Completion: Sendable {
    /// All that choice 0 says; nothing where it only calls tools.
    public let text: String
    public let reasoning: String
    /// Its JSON.
    public let data: String
    /// The evidence, JSON: attempts, times, usage, what the gateway said.
    public let report: String
}

/// A client, for any number of tasks. What runs on it keeps it alive; one that is dropped lets go by itself.
///
/// Requests and configs are JSON texts; requests go out as they are written.
public final class Client: Sendable, CustomStringConvertible {
    private let pointer: Pointer

    /// A pointer of which every function is thread-safe.
    private struct Pointer: @unchecked Sendable {
        let raw: OpaquePointer
    }

    /// - Parameter config: docs/configuration.md; nil: the environment (HELIO_BASE_URL, HELIO_API_KEY).
    /// - Throws: `HelioError` that names the key to change.
    public init(config: String? = nil) throws(HelioError) {
        precondition(helio_abi_version() == UInt32(HELIO_ABI_VERSION), "another libhelio than this package is made for")
        var options = helio_client_options()
        helio_client_options_init(&options, UInt32(MemoryLayout<helio_client_options>.size))
        var client: OpaquePointer?
        var error: OpaquePointer?
        let status = withText(config) { start, length in
            options.config = start
            options.config_len = length
            return helio_client_create(&options, &client, &error)
        }
        try HelioError.check(status, error)
        guard let client else { throw HelioError(HELIO_ERR_INTERNAL) }
        pointer = Pointer(raw: client)
    }

    /// Legal on any thread and inside a callback; requests that run get their end.
    deinit { helio_client_release(pointer.raw) }

    public var description: String { "helio.Client" }

    /// Ask, and wait for the whole answer. Cancelling the task cancels the request, also before it was sent.
    /// - Parameter overrides: config for this request.
    public func complete(_ request: String, overrides: String? = nil) async throws -> Completion {
        let chunks = stream(request, overrides: overrides)
        for try await _ in chunks {}
        guard let completion = chunks.completion else { throw HelioError(HELIO_ERR_INTERNAL) }
        return completion
    }

    /// Ask, and get the chunks one by one by `for try await`; say "stream": true in the request. Leaving the loop, dropping the
    /// stream and cancelling the task cancel the request.
    public func stream(_ request: String, overrides: String? = nil) -> ResponseStream {
        let id = helio_reserve(pointer.raw)
        let ended = Ended()
        let chunks = AsyncThrowingStream<Chunk, any Error> { continuation in
            // The stream keeps the client until it has ended; that may be inside a callback.
            continuation.onTermination = { _ in self.cancel(id) }
            let box = Box(continuation: continuation, ended: ended)
            do {
                try submit(id, request, overrides, box)
            } catch {
                box.finish(nil, error)
            }
        }
        return ResponseStream(chunks: chunks, ended: ended, cancel: { self.cancel(id) })
    }

    /// End all requests with `HELIO_ERR_SHUT_DOWN`, and refuse new ones. Returns at once.
    public func close() { helio_client_shutdown(pointer.raw) }

    /// Use another key for requests that start later; nil: none.
    public func setAPIKey(_ key: String?) throws(HelioError) {
        try HelioError.check(withText(key) { helio_client_set_api_key(pointer.raw, $0, $1) })
    }

    /// Open a connection ahead of the first request. Returns at once.
    public func prewarm() throws(HelioError) { try HelioError.check(helio_client_prewarm(pointer.raw)) }

    private func cancel(_ id: UInt64) { helio_cancel(pointer.raw, id) }

    private func submit(_ id: UInt64, _ request: String, _ overrides: String?, _ box: Box) throws(HelioError) {
        guard id != 0 else { throw HelioError(HELIO_ERR_SHUT_DOWN) }
        if Task.isCancelled { cancel(id) }
        var options = helio_request_options()
        helio_request_options_init(&options, UInt32(MemoryLayout<helio_request_options>.size))
        options.delivery = UInt32(HELIO_DELIVERY_THREAD)
        options.id = id
        options.on_event = onEvent
        // Released at DONE, which comes if and only if submit says OK.
        let retained = Unmanaged.passRetained(box)
        options.user_data = retained.toOpaque()
        var error: OpaquePointer?
        let status = withText(overrides) { start, length in
            options.overrides = start
            options.overrides_len = length
            return withText(request) { helio_submit(pointer.raw, $0, $1, &options, nil, &error) }
        }
        if status != HELIO_OK { retained.release() }
        try HelioError.check(status, error)
    }
}

/// What the callback of a request needs.
private final class Box: Sendable {
    let continuation: AsyncThrowingStream<Chunk, any Error>.Continuation
    let ended: Ended

    init(continuation: AsyncThrowingStream<Chunk, any Error>.Continuation, ended: Ended) {
        self.continuation = continuation
        self.ended = ended
    }

    func finish(_ completion: Completion?, _ error: HelioError?) {
        ended.set(completion, error)
        continuation.finish(throwing: error)
    }
}

/// Runs on a thread of the library, for one request never on two at once.
private func onEvent(_ event: UnsafePointer<helio_event>?, _ userData: UnsafeMutableRawPointer?) -> Int32 {
    guard let event = event?.pointee, let userData else { return 0 }
    let box = Unmanaged<Box>.fromOpaque(userData)
    let data = text(event.data, event.len)
    let said = text(event.text, event.text_len) ?? ""
    let reasoning = text(event.reasoning, event.reasoning_len) ?? ""
    switch event.kind {
    case UInt32(HELIO_EVENT_CHUNK):
        let chunk = Chunk(text: said, reasoning: reasoning, data: data ?? "")
        box.takeUnretainedValue().continuation.yield(chunk)
    case UInt32(HELIO_EVENT_DONE):
        let report = text(event.report, event.report_len) ?? ""
        let completion = data.map { Completion(text: said, reasoning: reasoning, data: $0, report: report) }
        let isWhole = event.status == HELIO_OK
        let error = isWhole ? nil : HelioError(event.status, event.error, completion: completion)
        box.takeRetainedValue().finish(completion, error)
    default:
        break
    }
    return 0
}

/// A text as the library takes it.
func withText<Result>(_ text: String?, _ work: (UnsafePointer<CChar>?, Int) -> Result) -> Result {
    guard let text else { return work(nil, 0) }
    return text.withCString { work($0, text.utf8.count) }
}
