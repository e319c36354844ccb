import Foundation

/// The chunks of one answer, for one task.
public struct ResponseStream: AsyncSequence, Sendable {
    public typealias Element = Chunk

    let chunks: AsyncThrowingStream<Chunk, any Error>
    let ended: Ended
    let cancelRequest: @Sendable () -> Void

    init(chunks: AsyncThrowingStream<Chunk, any Error>, ended: Ended, cancel: @escaping @Sendable () -> Void) {
        self.chunks = chunks
        self.ended = ended
        cancelRequest = cancel
    }

    /// The whole completion, once the stream has ended; nil before, and if nothing had come.
    public var completion: Completion? { ended.completion }

    /// End the request at once, from anywhere: iterating throws `HELIO_ERR_CANCELLED`. What has ended stays.
    public func cancel() { cancelRequest() }

    public func makeAsyncIterator() -> Iterator { Iterator(base: chunks.makeAsyncIterator(), ended: ended) }

    public struct Iterator: AsyncIteratorProtocol {
        var base: AsyncThrowingStream<Chunk, any Error>.Iterator
        let ended: Ended

        public mutating func next() async throws -> Chunk? {
            if let chunk = try await base.next() { return chunk }
            // A stream whose task was cancelled ends without an error; half an answer is no success.
            try ended.check()
            return nil
        }
    }
}

/// What a request has ended with.
final class Ended: @unchecked Sendable {
    private let lock = NSLock()
    private var hasEnded = false
    private var told: Completion?
    private var failure: HelioError?

    var completion: Completion? { lock.withLock { told } }

    func set(_ completion: Completion?, _ error: HelioError?) {
        lock.withLock {
            hasEnded = true
            told = completion
            failure = error
        }
    }

    /// Throws unless it has ended well.
    func check() throws {
        let (hasEnded, failure) = lock.withLock { (self.hasEnded, self.failure) }
        if let failure { throw failure }
        if !hasEnded { throw CancellationError() }
    }
}
