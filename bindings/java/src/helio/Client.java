package helio;

import com.sun.jna.ptr.PointerByReference;
import java.lang.ref.Cleaner;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ForkJoinPool;

/**
 * Asks large language models for chat completions, for any number of threads. Close it; one that is forgotten lets go by itself.
 *
 * <p>Requests and configs are JSON texts; requests go out byte for byte. One daemon thread receives for all its streams.
 */
public final class Client implements AutoCloseable {
    static final Cleaner CLEANER = Cleaner.create();

    final Core core;

    /** With the environment: HELIO_BASE_URL, HELIO_API_KEY. */
    public Client() {
        this(null);
    }

    /**
     * @param config docs/configuration.md; null: the environment
     * @throws HelioException it is wrong; the message names the key to change
     */
    public Client(String config) {
        Core made = new Core(config);
        core = made;
        CLEANER.register(this, made::shutDown);
    }

    /** Ask, and wait for the whole answer. */
    public Completion complete(String request) {
        return complete(request, Options.NONE);
    }

    /** The same. An interrupt cancels it. */
    public Completion complete(String request, Options options) {
        try (Stream stream = stream(request, options)) {
            while (stream.hasNext()) {
                stream.next();
            }
            return stream.completion().orElseThrow(() -> new HelioException(Status.INTERNAL));
        }
    }

    /** Ask; the answer completes the future, on the common pool. A future that ends before, cancelled or timed out, cancels the request. */
    public CompletableFuture<Completion> completeAsync(String request) {
        return completeAsync(request, Options.NONE);
    }

    public CompletableFuture<Completion> completeAsync(String request, Options options) {
        CompletableFuture<Completion> future = new CompletableFuture<>();
        long id = core.submit(request, options, told -> {
            if (told.isEnd()) {
                ForkJoinPool.commonPool().execute(() -> end(future, told));
            }
        });
        future.whenComplete((completion, error) -> {
            core.cancel(id); // orTimeout ends it, too; a request that has ended stays
            java.lang.ref.Reference.reachabilityFence(this); // the client lives until then
        });
        return future;
    }

    private static void end(CompletableFuture<Completion> future, Core.Told told) {
        if (told.error() == null) {
            future.complete(told.completion());
        } else {
            future.completeExceptionally(told.error());
        }
    }

    /** Ask, and get the chunks one by one; say "stream": true in the request. It begins at once. */
    public Stream stream(String request) {
        return stream(request, Options.NONE);
    }

    public Stream stream(String request, Options options) {
        return new Stream(this, request, options);
    }

    /** Use another key for requests that start later; null: none. */
    public void setApiKey(String key) {
        byte[] text = key == null ? null : C.utf8(key);
        synchronized (core) {
            HelioException.check(
                    C.helio_client_set_api_key(core.alive(), text, new C.Size(text == null ? 0 : text.length)), null);
        }
    }

    /** Open a connection ahead of the first request. Returns at once. */
    public void prewarm() {
        synchronized (core) {
            HelioException.check(C.helio_client_prewarm(core.alive()), null);
        }
    }

    /** Figures of the client, JSON: requests, connections, threads. */
    public String stats() {
        PointerByReference json = new PointerByReference();
        synchronized (core) {
            HelioException.check(C.helio_client_stats(core.alive(), json), null);
        }
        return C.taken(json.getValue());
    }

    /** End all requests with SHUT_DOWN, and wait for the client's threads. Any thread, any number of times. */
    @Override
    public void close() {
        core.shutDown();
        boolean wasInterrupted = false;
        while (true) {
            try {
                core.receiver().join();
                break;
            } catch (InterruptedException interrupted) {
                wasInterrupted = true;
            }
        }
        if (wasInterrupted) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public String toString() {
        return "helio.Client " + (core.isGone() ? "closed" : "open");
    }

    /** The version of the library that is loaded. */
    public static String version() {
        return C.helio_version_string();
    }
}
