package helio;

import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;

/** The messages of a conversation. Belongs to no client; one thread at a time uses it. One that is closed refuses what is added, with INVALID_ARGUMENT. */
public final class Chat implements AutoCloseable {
    private Pointer chat; // null: closed
    private final Cleaner.Cleanable cleanable;

    public Chat() {
        PointerByReference made = new PointerByReference();
        HelioException.check(C.helio_chat_create(made), null);
        Pointer owned = made.getValue();
        chat = owned;
        cleanable = Client.CLEANER.register(this, () -> C.helio_chat_free(owned));
    }

    /** Add a text of "system", "developer", "user" or "assistant". */
    public void add(String role, String text) {
        byte[] bytes = C.utf8(text);
        check(C.helio_chat_add(chat, C.ended(role), bytes, new C.Size(bytes.length)));
    }

    /** Add a message of any kind as JSON, or an array of them, all or none. */
    public void addJson(String message) {
        check(C.helio_chat_add_json(chat, C.ended(message)));
    }

    /** Add the assistant's message of an answer as servers want it back: tool calls, reasoning and signatures included. */
    public void addReply(Completion completion) {
        addReply(completion.data());
    }

    /** The same from its JSON, or from that of one message by itself. */
    public void addReply(String completion) {
        check(C.helio_chat_add_reply(chat, C.ended(completion)));
    }

    /** Add what a tool answered. */
    public void addToolResult(String toolCallId, String text) {
        byte[] bytes = C.utf8(text);
        check(C.helio_chat_add_tool_result(chat, C.ended(toolCallId), bytes, new C.Size(bytes.length)));
    }

    /** How many messages there are. */
    public long count() {
        try {
            return C.helio_chat_count(chat).longValue();
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Remove messages, from the place of the first one. */
    public void remove(long first, long count) {
        check(C.helio_chat_remove(chat, new C.Size(first), new C.Size(count)));
    }

    /** The body of a request: these parameters (JSON, without "messages"; null: none), and the messages behind them. */
    public String request(String parameters) {
        PointerByReference body = new PointerByReference();
        check(C.helio_chat_request(chat, C.ended(parameters), body));
        return C.taken(body.getValue());
    }

    /** Free it now. */
    @Override
    public void close() {
        chat = null;
        cleanable.clean();
    }

    /** The error stays the chat's. */
    private void check(int status) {
        try {
            if (status != 0) {
                throw new HelioException(status, C.helio_chat_error(chat), null);
            }
        } finally {
            Reference.reachabilityFence(this);
        }
    }
}
