package helio;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;

/**
 * What the receiver and the streams know. It does not know the Client, so that this can be collected. Its methods are synchronized,
 * so that no call starts on a C client that is gone; none of them blocks or runs host code.
 */
final class Core {
    private Pointer client; // null: gone
    private Thread receiver;
    private final Map<Long, Waiting> waiting = new HashMap<>();

    /** Who waits for a request. */
    private record Waiting(Consumer<Told> sink, Cancellation cancellation) {}

    /** A chunk, or the end: a completion, an error, or both. */
    record Told(Chunk chunk, Completion completion, HelioException error) {
        boolean isEnd() {
            return chunk == null;
        }
    }

    Core(String config) {
        C.ClientOptions options = new C.ClientOptions();
        C.helio_client_options_init(options, options.size());
        Memory text = null;
        if (config != null) {
            text = memory(config);
            options.config = text;
            options.config_len = new C.Size(text.size() - 1);
        }
        PointerByReference made = new PointerByReference();
        PointerByReference error = new PointerByReference();
        HelioException.check(C.helio_client_create(options, made, error), error.getValue());
        client = made.getValue();
        java.lang.ref.Reference.reachabilityFence(text);
    }

    private static Memory memory(String text) {
        byte[] bytes = C.ended(text);
        Memory memory = new Memory(bytes.length);
        memory.write(0, bytes, 0, bytes.length);
        return memory;
    }

    Pointer alive() {
        if (client == null) {
            throw new HelioException(Status.SHUT_DOWN);
        }
        return client;
    }

    synchronized long submit(String request, Options asked, Consumer<Told> sink) {
        alive();
        C.RequestOptions options = new C.RequestOptions();
        C.helio_request_options_init(options, options.size());
        long id = C.helio_reserve(client);
        if (id == 0) {
            throw new HelioException(Status.SHUT_DOWN);
        }
        options.delivery = C.DELIVERY_PULL;
        options.id = id;
        Memory overrides = null;
        if (asked.overrides() != null) {
            overrides = memory(asked.overrides());
            options.overrides = overrides;
            options.overrides_len = new C.Size(overrides.size() - 1);
        }
        begin();
        waiting.put(id, new Waiting(sink, asked.cancellation()));
        if (asked.cancellation() != null) {
            asked.cancellation().add(sink, () -> cancel(id));
        }
        byte[] body = C.utf8(request);
        PointerByReference error = new PointerByReference();
        int status = C.helio_submit(client, body, new C.Size(body.length), options, null, error);
        java.lang.ref.Reference.reachabilityFence(overrides);
        if (status != 0) {
            forget(id);
            HelioException.check(status, error.getValue());
        }
        return id;
    }

    private synchronized Waiting forget(long id) {
        Waiting forgotten = waiting.remove(id);
        if (forgotten != null && forgotten.cancellation != null) {
            forgotten.cancellation.remove(forgotten.sink);
        }
        return forgotten;
    }

    synchronized void cancel(long id) {
        if (client != null) {
            C.helio_cancel(client, id);
        }
    }

    /** End all requests. The receiver ends the client when it has handed out their ends. */
    synchronized void shutDown() {
        if (client != null) {
            C.helio_client_shutdown(client);
            begin();
        }
    }

    synchronized Thread receiver() {
        return receiver;
    }

    synchronized boolean isGone() {
        return client == null;
    }

    private void begin() {
        if (receiver == null) {
            Pointer taken = client;
            Thread thread = new Thread(() -> receive(taken), "helio");
            thread.setDaemon(true);
            thread.start();
            receiver = thread;
        }
    }

    /** The one thread that waits in C. */
    private void receive(Pointer client) {
        PointerByReference pointer = new PointerByReference();
        while (C.helio_next_event(client, C.FOREVER, pointer) == 0) {
            if (pointer.getValue() == null) {
                continue;
            }
            C.Event event = new C.Event(pointer.getValue());
            long id = event.request;
            Told told = told(event);
            C.helio_event_release(pointer.getValue());
            if (told != null) {
                Waiting who = told.isEnd() ? forget(id) : who(id);
                if (who != null) {
                    who.sink.accept(told);
                }
            }
        }
        synchronized (this) {
            this.client = null;
        }
        C.helio_client_destroy(client, C.FOREVER);
    }

    private synchronized Waiting who(long id) {
        return waiting.get(id);
    }

    private static Told told(C.Event event) {
        if (event.kind != C.CHUNK && event.kind != C.DONE) {
            return null;
        }
        String data = C.text(event.data, event.len.longValue());
        String text = C.orEmpty(C.text(event.text, event.text_len.longValue()));
        String reasoning = C.orEmpty(C.text(event.reasoning, event.reasoning_len.longValue()));
        if (event.kind == C.CHUNK) {
            return new Told(new Chunk(text, reasoning, data), null, null);
        }
        String report = C.text(event.report, event.report_len.longValue());
        Completion completion = data == null ? null : new Completion(text, reasoning, data, report);
        HelioException error = event.status == 0 ? null : new HelioException(event.status, event.error, completion);
        return new Told(null, completion, error);
    }
}
