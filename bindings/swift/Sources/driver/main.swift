// Does what a line of bindings/scenarios.json tells it to.

import Foundation
import Helio

func outcome(
    _ error: HelioError? = nil, _ completion: Completion? = nil, texts: [String] = [], status: String? = nil, right: Int = 0,
    client: Client? = nil
) -> [String: Any] {
    let completion = completion ?? error?.completion
    var told: [String: Any] = ["texts": texts, "right": right, "data": completion?.data ?? NSNull(), "error": NSNull()]
    told["status"] = status ?? error?.statusName ?? "HELIO_OK"
    told["shown"] = "\(String(describing: client)) \(String(describing: error)) \(error.map { "\($0)" } ?? "")"
    if let error {
        told["error"] = [
            "message": error.message, "code": error.code ?? NSNull(), "type": error.type ?? NSNull(),
            "http_status": Int(error.httpStatus), "retry_after_ms": Int(error.retryAfterMs ?? -1),
            "body": error.body ?? NSNull(), "report": error.report ?? NSNull(),
        ] as [String: Any]
    }
    return told
}

func collect(_ stream: ResponseStream, _ client: Client, atFirst: (@Sendable () -> Void)? = nil) async -> [String: Any] {
    var texts: [String] = []
    do {
        for try await chunk in stream where !chunk.text.isEmpty {
            texts.append(chunk.text)
            if texts.count == 1, let atFirst { Task.detached { atFirst() } }
        }
        return outcome(nil, stream.completion, texts: texts, client: client)
    } catch let error as HelioError {
        return outcome(error, texts: texts, client: client)
    } catch {
        fatalError("\(error)")
    }
}

func run(_ action: String, _ client: Client, _ request: String, _ count: Int) async throws -> [String: Any] {
    switch action {
    case "create":
        return outcome(client: client)
    case "complete":
        return outcome(nil, try await client.complete(request), client: client)
    case "stream":
        return await collect(client.stream(request), client)
    case "cancel_before":
        // In a task that is cancelled before it asks.
        return await Task { () -> Sent in
            withUnsafeCurrentTask { $0?.cancel() }
            return Sent(await collect(client.stream(request), client))
        }.value.told
    case "cancel_during":
        let stream = client.stream(request)
        return await collect(stream, client) { stream.cancel() }
    case "cancel_after":
        let stream = client.stream(request)
        let told = await collect(stream, client)
        stream.cancel()
        return told
    case "many":
        let right = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<count {
                let asked = request.replacingOccurrences(of: "#N#", with: "\(number)")
                group.addTask { try await client.complete(asked).text == "You said: \(number)" }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        return outcome(right: right, client: client)
    case "leave", "drop":
        for try await chunk in client.stream(request) where !chunk.text.isEmpty {
            return outcome(texts: [chunk.text], status: "LEFT", client: client)
        }
        return outcome(client: client)
    case "close":
        return await collect(client.stream(request), client) { client.close() }
    case "tools":
        let chat = try Chat()
        try chat.add(json: try jsonGet(request, "/messages") ?? "[]")
        let parameters = "{\"model\":\"m\",\"tools\":\(try jsonGet(request, "/tools") ?? "[]")}"
        let reply = try await client.complete(try chat.request(parameters: parameters))
        try chat.add(reply: reply)
        let call = try jsonGet(reply.data, "/choices/0/message/tool_calls/0/id") ?? ""
        try chat.add(toolResult: "42", for: call)
        return outcome(nil, try await client.complete(try chat.request(parameters: parameters)), client: client)
    default:
        fatalError(action)
    }
}

/// What a task gives back, once.
struct Sent: @unchecked Sendable {
    let told: [String: Any]
    init(_ told: [String: Any]) { self.told = told }
}

var kept: Client?
while let line = readLine() {
    kept?.close()
    kept = nil
    var told: [String: Any]
    do {
        let client = try Client(config: try jsonGet(line, "/config"))
        let action = try jsonGet(line, "/do") ?? ""
        let count = Int(try jsonGet(line, "/count") ?? "1") ?? 1
        told = try await run(action, client, try jsonGet(line, "/request") ?? "{}", count)
        if action == "leave" || action == "drop" { kept = client } else { client.close() }
    } catch let error as HelioError {
        told = outcome(error)
    }
    let json = try JSONSerialization.data(withJSONObject: told)
    FileHandle.standardOutput.write(json + Data("\n".utf8))
}
