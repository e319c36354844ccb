package helio;

import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * The chunks of one answer. One thread reads it; cancel is for any. Java does not tell when a loop is left: use it in a
 * try-with-resources. One that was forgotten is cancelled when it is collected.
 */
public final class Stream implements Iterable<Chunk>, Iterator<Chunk>, AutoCloseable {
    private final Client client; // lives as long as its streams
    private final Core core;
    private final long id;
    private final LinkedBlockingQueue<Core.Told> queue;
    private Core.Told next;

    Stream(Client client, String request, Options options) {
        this.client = client;
        core = client.core;
        LinkedBlockingQueue<Core.Told> told = new LinkedBlockingQueue<>();
        queue = told;
        id = core.submit(request, options, told::add);
        Core its = core;
        long number = id;
        Client.CLEANER.register(this, () -> its.cancel(number));
    }

    @Override
    public Iterator<Chunk> iterator() {
        return this;
    }

    /**
     * Waits for the next chunk. A thread that is interrupted while it waits cancels the request, and gets CANCELLED.
     *
     * @throws HelioException the answer has failed
     */
    @Override
    public boolean hasNext() {
        if (next == null) {
            next = take();
        }
        if (next.isEnd() && next.error() != null) {
            throw next.error();
        }
        return !next.isEnd();
    }

    private Core.Told take() {
        boolean wasInterrupted = false;
        while (true) {
            try {
                Core.Told told = queue.take();
                if (wasInterrupted) {
                    Thread.currentThread().interrupt();
                }
                return told;
            } catch (InterruptedException interrupted) {
                wasInterrupted = true;
                cancel(); // its end comes at once
            }
        }
    }

    @Override
    public Chunk next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        Chunk chunk = next.chunk();
        next = null;
        return chunk;
    }

    /** The whole completion, once the stream has ended; empty before. On an error what had come. */
    public Optional<Completion> completion() {
        return next == null || !next.isEnd() ? Optional.empty() : Optional.ofNullable(next.completion());
    }

    /** End the request at once: reading throws CANCELLED. What has ended stays. */
    public void cancel() {
        core.cancel(id);
        java.lang.ref.Reference.reachabilityFence(client);
    }

    /** Cancel the request, unless it has ended. */
    @Override
    public void close() {
        cancel();
    }
}
