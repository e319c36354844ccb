import helio.Cancellation;
import helio.Chat;
import helio.Chunk;
import helio.Client;
import helio.Completion;
import helio.HelioException;
import helio.Json;
import helio.Options;
import helio.Stream;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;

/** Does what a line of bindings/scenarios.json tells it to. */
final class Driver {
    private static final class Told {
        final List<String> texts = new ArrayList<>();
        String status = "HELIO_OK";
        Completion completion;
        HelioException error;
        int right;

        String json(String shown) {
            String failure = "null";
            if (error != null) {
                completion = error.completion().orElse(null);
                failure = "{\"message\":" + quoted(error.reason()) + ",\"code\":" + quoted(error.code().orElse(null)) + ",\"type\":"
                        + quoted(error.type().orElse(null)) + ",\"http_status\":" + error.httpStatus() + ",\"retry_after_ms\":"
                        + error.retryAfterMs().orElse(-1) + ",\"body\":" + quoted(error.body().orElse(null)) + ",\"report\":"
                        + quoted(error.report().orElse(null)) + "}";
                status = error.statusName();
            }
            List<String> quoted = texts.stream().map(Driver::quoted).toList();
            return "{\"status\":" + quoted(status) + ",\"texts\":[" + String.join(",", quoted) + "],\"data\":"
                    + quoted(completion == null ? null : completion.data()) + ",\"error\":" + failure + ",\"shown\":"
                    + quoted(shown + " " + error) + ",\"right\":" + right + "}";
        }
    }

    private static String quoted(String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder out = new StringBuilder("\"");
        for (char one : text.toCharArray()) {
            out.append(one < ' ' || one == '"' || one == '\\' ? String.format("\\u%04x", (int) one) : String.valueOf(one));
        }
        return out.append('"').toString();
    }

    private static Told outcome(java.util.function.Consumer<Told> work) {
        Told told = new Told();
        try {
            work.accept(told);
        } catch (HelioException error) {
            told.error = error;
        }
        return told;
    }

    private static Told read(Client client, String request, Options options, BiConsumer<Client, Stream> atFirst) {
        return outcome(told -> {
            try (Stream stream = client.stream(request, options)) {
                for (Chunk chunk : stream) {
                    if (!chunk.text().isEmpty()) {
                        told.texts.add(chunk.text());
                        if (told.texts.size() == 1 && atFirst != null) {
                            new Thread(() -> atFirst.accept(client, stream)).start();
                        }
                    }
                }
                told.completion = stream.completion().orElse(null);
            }
        });
    }

    private static Told run(String action, Client client, String request, int count) {
        Options none = Options.overrides(null);
        switch (action) {
            case "create":
                return new Told();
            case "complete":
                return outcome(told -> told.completion = client.complete(request));
            case "stream":
                return read(client, request, none, null);
            case "cancel_before": {
                Cancellation cancellation = new Cancellation();
                cancellation.cancel();
                return read(client, request, Options.cancelledBy(cancellation), null);
            }
            case "cancel_during":
                return read(client, request, none, (itsClient, stream) -> stream.cancel());
            case "cancel_after": {
                Cancellation cancellation = new Cancellation();
                Told told = read(client, request, Options.cancelledBy(cancellation), null);
                cancellation.cancel();
                return told;
            }
            case "many":
                return outcome(told -> {
                    List<CompletableFuture<Completion>> all = new ArrayList<>();
                    for (int number = 0; number < count; number++) {
                        all.add(client.completeAsync(request.replace("#N#", "" + number)));
                    }
                    for (int number = 0; number < count; number++) {
                        told.right += all.get(number).join().text().equals("You said: " + number) ? 1 : 0;
                    }
                });
            case "leave":
                return outcome(told -> {
                    try (Stream stream = client.stream(request)) {
                        for (Chunk chunk : stream) {
                            if (!chunk.text().isEmpty()) {
                                told.texts.add(chunk.text());
                                break;
                            }
                        }
                    }
                    told.status = "LEFT";
                });
            case "drop": {
                Told told = outcome(left -> {
                    Stream stream = client.stream(request);
                    String text = "";
                    while (text.isEmpty()) {
                        text = stream.next().text();
                    }
                    left.texts.add(text);
                    left.status = "LEFT";
                });
                for (int turn = 0; turn < 5; turn++) {
                    System.gc();
                }
                return told;
            }
            case "close":
                return read(client, request, none, (itsClient, stream) -> itsClient.close());
            case "tools":
                return outcome(told -> {
                    try (Chat chat = new Chat()) {
                        chat.addJson(Json.get(request, "/messages").orElseThrow());
                        String parameters = "{\"model\":\"m\",\"tools\":" + Json.get(request, "/tools").orElseThrow() + "}";
                        Completion reply = client.complete(chat.request(parameters));
                        chat.addReply(reply);
                        String id = Json.get(reply.data(), "/choices/0/message/tool_calls/0/id").orElseThrow();
                        chat.addToolResult(id, "42");
                        told.completion = client.complete(chat.request(parameters));
                    }
                });
            default:
                throw new IllegalArgumentException(action);
        }
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        Client open = null;
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            if (open != null) {
                open.close();
                open = null;
            }
            String asked = line;
            String action = Json.get(asked, "/do").orElseThrow();
            Client[] made = new Client[1];
            Told told = outcome(ignored -> made[0] = new Client(Json.get(asked, "/config").orElseThrow()));
            Client client = made[0];
            if (client != null) {
                int count = Integer.parseInt(Json.get(asked, "/count").orElseThrow());
                told = run(action, client, Json.get(asked, "/request").orElseThrow(), count);
                if (action.equals("leave") || action.equals("drop")) {
                    open = client;
                } else {
                    client.close();
                }
            }
            out.println(told.json("" + client));
        }
    }
}
