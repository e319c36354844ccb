package helio;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Cancels requests: those that were made with it, and those that still will be. For any thread, any number of times. */
public final class Cancellation {
    private final Map<Object, Runnable> cancels = new HashMap<>();
    private boolean isCancelled;

    /** End them at once, with CANCELLED. What has ended stays. */
    public void cancel() {
        List<Runnable> all;
        synchronized (this) {
            isCancelled = true;
            all = List.copyOf(cancels.values());
        }
        all.forEach(Runnable::run);
    }

    public synchronized boolean isCancelled() {
        return isCancelled;
    }

    void add(Object request, Runnable cancel) {
        boolean atOnce;
        synchronized (this) {
            cancels.put(request, cancel);
            atOnce = isCancelled;
        }
        if (atOnce) {
            cancel.run();
        }
    }

    synchronized void remove(Object request) {
        cancels.remove(request);
    }
}
