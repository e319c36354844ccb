import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import helio.Chat;
import helio.Chunk;
import helio.Client;
import helio.Completion;
import helio.HelioException;
import helio.Json;
import helio.Options;
import helio.Status;
import helio.Stream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/** What the table of scenarios does not have, because it is Java's own. */
final class ClientTest {
    private static final String ASK = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}";
    private static final String STREAM = ASK.replace("]}", "],\"stream\":true}");

    private final HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    private final Semaphore left = new Semaphore(0);
    private final CountDownLatch go = new CountDownLatch(1);

    private ClientTest() throws IOException {
        server.createContext("/", this::answer);
        server.setExecutor(Executors.newCachedThreadPool(work -> {
            Thread thread = new Thread(work, "server");
            thread.setDaemon(true);
            return thread;
        }));
        server.start();
    }

    /** Streams a word, and the end once "go" is open; or answers whole. */
    private void answer(HttpExchange exchange) throws IOException {
        String asked = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        boolean streams = asked.contains("\"stream\":true");
        exchange.getResponseHeaders().add("content-type", streams ? "text/event-stream" : "application/json");
        exchange.sendResponseHeaders(200, 0);
        try (OutputStream out = exchange.getResponseBody()) {
            if (!streams) {
                write(out, "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}");
                return;
            }
            write(out, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word\"}}]}\n\n");
            while (!go.await(10, TimeUnit.MILLISECONDS)) {
                write(out, ": still here\n\n");
            }
            write(out, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
        } catch (IOException gone) {
            left.release();
        } catch (InterruptedException never) {
            throw new AssertionError(never);
        }
    }

    private static void write(OutputStream out, String text) throws IOException {
        out.write(text.getBytes(StandardCharsets.UTF_8));
        out.flush();
    }

    private String config() {
        return "{\"base_url\":\"http://127.0.0.1:" + server.getAddress().getPort() + "/v1\",\"api_key\":\"k\"}";
    }

    private static void check(boolean holds, Object what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    private static void fails(Status status, Runnable work) {
        try {
            work.run();
        } catch (HelioException error) {
            check(error.status() == status, error);
            return;
        }
        throw new AssertionError("it did not fail with " + status);
    }

    private static void eventually(BooleanSupplier holds) throws InterruptedException {
        for (int turn = 0; !holds.getAsBoolean(); turn++) {
            check(turn < 3000, "it never happened");
            Thread.sleep(10);
        }
    }

    private void isLeft() throws InterruptedException {
        check(left.tryAcquire(30, TimeUnit.SECONDS), "the request goes on");
    }

    private void anInterruptCancels() throws Exception {
        try (Client client = new Client(config())) {
            Thread waiting = Thread.currentThread();
            Stream stream = client.stream(STREAM);
            check(stream.next().text().equals("word"), "the word");
            new Thread(waiting::interrupt).start();
            fails(Status.CANCELLED, stream::hasNext);
            check(Thread.interrupted(), "the flag is set again");
            isLeft();
            fails(Status.CANCELLED, stream::next);
            check(stream.completion().map(Completion::text).orElse("").equals("word"), "what had come");
        }
    }

    private void cancellingTheFutureCancels() throws Exception {
        try (Client client = new Client(config())) {
            CompletableFuture<Completion> future = client.completeAsync(STREAM);
            Thread.sleep(100);
            future.cancel(true);
            isLeft();
            try {
                future.join();
                throw new AssertionError("it is cancelled");
            } catch (CancellationException expected) {
                // as it should
            }
        }
    }

    private void aFutureThatTimesOutCancels() throws Exception {
        try (Client client = new Client(config())) {
            client.completeAsync(STREAM).orTimeout(100, TimeUnit.MILLISECONDS);
            isLeft();
        }
    }

    private void aClosedChatRefuses() {
        Chat chat = new Chat();
        chat.add("user", "Hi");
        chat.close();
        chat.close();
        fails(Status.INVALID_ARGUMENT, () -> chat.add("user", "Hi"));
        fails(Status.INVALID_ARGUMENT, () -> chat.request(null));
        check(chat.count() == 0, chat.count());
    }

    private void closeMayComeTwice() throws Exception {
        Client client = new Client(config());
        check(client.complete(ASK).text().equals("Hello"), "complete");
        client.close();
        client.close();
        fails(Status.SHUT_DOWN, () -> client.complete(ASK));
        fails(Status.SHUT_DOWN, () -> client.completeAsync(ASK));
        fails(Status.SHUT_DOWN, client::prewarm);
        fails(Status.SHUT_DOWN, client::stats);
        fails(Status.SHUT_DOWN, () -> client.setApiKey("x"));
        check(client.toString().equals("helio.Client closed"), client);
    }

    private void aForgottenClientLetsGo() throws Exception {
        forget();
        eventually(() -> {
            System.gc();
            return left.tryAcquire() && Thread.getAllStackTraces().keySet().stream().noneMatch(one -> one.getName().equals("helio"));
        });
    }

    private void forget() {
        check(new Client(config()).stream(STREAM).next().text().equals("word"), "the word");
    }

    private void oneThreadReceivesForAll() throws Exception {
        try (Client client = new Client(config())) {
            List<Stream> streams = new ArrayList<>();
            for (int number = 0; number < 30; number++) {
                streams.add(client.stream(STREAM));
            }
            for (Stream stream : streams) {
                check(stream.next().text().equals("word"), "the word");
            }
            long receivers = Thread.getAllStackTraces().keySet().stream().filter(one -> one.getName().equals("helio")).count();
            check(receivers == 1, receivers);
            go.countDown();
            for (Stream stream : streams) {
                for (Chunk chunk : stream) {
                    check(chunk.text().isEmpty(), chunk);
                }
                check(stream.completion().orElseThrow().text().equals("word"), stream);
            }
        }
    }

    private void textsGoInAndOutAsTheyAre() {
        try (Client client = new Client(config()); Chat chat = new Chat()) {
            fails(Status.INVALID_JSON, () -> client.complete("[]"));
            fails(Status.INVALID_ARGUMENT, () -> client.complete(ASK, Options.overrides("{\"nothing\":1}")));
            chat.add("user", "Hi ✓ 🌍");
            fails(Status.INVALID_ARGUMENT, () -> chat.add("nobody", "x"));
            check(chat.count() == 1, chat.count());
            check(Json.get(chat.request(null), "/messages/0/content").equals(java.util.Optional.of("Hi ✓ 🌍")), chat.request(null));
            chat.add("user", "");
            chat.remove(0, 2);
            check(chat.count() == 0 && Json.get("{}", "/a").isEmpty(), "nothing is there");
        }
    }

    public static void main(String[] arguments) throws Exception {
        ClientTest test = new ClientTest();
        test.anInterruptCancels();
        test.cancellingTheFutureCancels();
        test.aFutureThatTimesOutCancels();
        test.aClosedChatRefuses();
        test.closeMayComeTwice();
        test.aForgottenClientLetsGo();
        test.textsGoInAndOutAsTheyAre();
        test.oneThreadReceivesForAll();
        test.server.stop(0);
        System.out.println("all held");
    }
}
