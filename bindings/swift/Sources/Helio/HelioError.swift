import CHelio

/// Why a call failed: what happened, where, and what to do. Holds no key.
public struct HelioError: Error, Sendable, CustomStringConvertible {
    /// The number of the status, negative.
    public let status: Int32
    /// Like "HELIO_ERR_TIMEOUT".
    public let statusName: String
    public let message: String
    /// 0 before a response.
    public let httpStatus: Int32
    /// The server's code; of a time-out which deadline it was: "connect", "first_event", "idle" or "total".
    public let code: String?
    /// The server's type.
    public let type: String?
    /// What the server said, its first MiB.
    public let body: String?
    /// Milliseconds to wait before another try; nil: another try makes no sense.
    public let retryAfterMs: Int64?
    /// The evidence, JSON; nil if nothing was sent.
    public let report: String?
    /// The answer as far as it had come.
    public let completion: Completion?

    public var description: String { "\(statusName): \(message)" }

    /// The error of a status, with what the library's own error says. It is copied, and not freed.
    init(_ status: Int32, _ error: OpaquePointer? = nil, completion: Completion? = nil) {
        self.status = status
        statusName = String(cString: helio_status_name(status))
        message = told(helio_error_message, error) ?? "the call failed with \(statusName)"
        httpStatus = helio_error_http_status(error)
        code = told(helio_error_code, error)
        type = told(helio_error_type, error)
        body = told(helio_error_body, error)
        let wait = helio_error_retry_after_ms(error)
        retryAfterMs = wait < 0 ? nil : wait
        report = told(helio_error_report, error)
        self.completion = completion
    }

    /// Throws what a call that failed has given; its error is freed.
    static func check(_ status: Int32, _ error: OpaquePointer? = nil) throws(HelioError) {
        defer { helio_error_free(error) }
        if status != HELIO_OK { throw HelioError(status, error) }
    }
}

typealias Getter = (OpaquePointer?, UnsafeMutablePointer<Int>?) -> UnsafePointer<CChar>?

private func told(_ get: Getter, _ error: OpaquePointer?) -> String? {
    var length = 0
    return text(get(error, &length), length)
}

/// A copy of the library's UTF-8.
func text(_ start: UnsafePointer<CChar>?, _ length: Int) -> String? {
    guard let start else { return nil }
    return start.withMemoryRebound(to: UInt8.self, capacity: length) {
        String(decoding: UnsafeBufferPointer(start: $0, count: length), as: UTF8.self)
    }
}

/// The text of a buffer, which is freed.
func taken(_ buffer: OpaquePointer?) -> String? {
    defer { helio_buffer_free(buffer) }
    return text(helio_buffer_data(buffer), helio_buffer_size(buffer))
}
