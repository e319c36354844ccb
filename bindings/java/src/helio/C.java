package helio;

import com.sun.jna.IntegerType;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.Structure.FieldOrder;
import com.sun.jna.ptr.PointerByReference;
import java.nio.charset.StandardCharsets;

/** The C functions. */
final class C {
    static final int ABI_VERSION = 1;
    static final int FOREVER = -1; // UINT32_MAX
    static final int DELIVERY_PULL = 1;
    static final int CHUNK = 2;
    static final int DONE = 3;

    private C() {}

    static {
        String named = System.getenv("HELIO_LIBRARY");
        NativeLibrary library = NativeLibrary.getInstance(named == null || named.isEmpty() ? "helio" : named);
        int version = library.getFunction("helio_abi_version").invokeInt(new Object[0]);
        if (version != ABI_VERSION) {
            throw new UnsatisfiedLinkError("libhelio has interface " + version + "; this package is for " + ABI_VERSION);
        }
        Native.register(C.class, library);
    }

    /** size_t. */
    public static class Size extends IntegerType {
        private static final long serialVersionUID = 1;

        public Size() {
            this(0);
        }

        public Size(long value) {
            super(Native.SIZE_T_SIZE, value, true);
        }
    }

    public static class SizeByReference extends com.sun.jna.ptr.ByReference {
        public SizeByReference() {
            super(Native.SIZE_T_SIZE);
        }

        long value() {
            return Native.SIZE_T_SIZE == 8 ? getPointer().getLong(0) : getPointer().getInt(0);
        }
    }

    @FieldOrder({"struct_size", "flags", "config", "config_len", "log_fn", "log_user_data", "log_level", "reserved0", "notify_fn", "notify_user_data"})
    public static class ClientOptions extends Structure {
        public int struct_size;
        public int flags;
        public Pointer config;
        public Size config_len;
        public Pointer log_fn;
        public Pointer log_user_data;
        public int log_level;
        public int reserved0;
        public Pointer notify_fn;
        public Pointer notify_user_data;
    }

    @FieldOrder({"struct_size", "delivery", "id", "on_event", "user_data", "overrides", "overrides_len"})
    public static class RequestOptions extends Structure {
        public int struct_size;
        public int delivery;
        public long id;
        public Pointer on_event;
        public Pointer user_data;
        public Pointer overrides;
        public Size overrides_len;
    }

    @FieldOrder({"struct_size", "kind", "request", "user_data", "data", "len", "text", "text_len", "reasoning", "reasoning_len", "status", "http_status", "error", "report", "report_len"})
    public static class Event extends Structure {
        public int struct_size;
        public int kind;
        public long request;
        public Pointer user_data;
        public Pointer data;
        public Size len;
        public Pointer text;
        public Size text_len;
        public Pointer reasoning;
        public Size reasoning_len;
        public int status;
        public int http_status;
        public Pointer error;
        public Pointer report;
        public Size report_len;

        public Event(Pointer at) {
            super(at);
            read();
        }
    }

    static native void helio_client_options_init(ClientOptions options, int size);

    static native int helio_client_create(ClientOptions options, PointerByReference client, PointerByReference error);

    static native int helio_client_set_api_key(Pointer client, byte[] key, Size length);

    static native int helio_client_prewarm(Pointer client);

    static native int helio_client_stats(Pointer client, PointerByReference json);

    static native int helio_client_shutdown(Pointer client);

    static native int helio_client_destroy(Pointer client, int timeoutMs);

    static native int helio_next_event(Pointer client, int timeoutMs, PointerByReference event);

    static native void helio_event_release(Pointer event);

    static native String helio_version_string();

    static native String helio_status_name(int status);

    static native void helio_request_options_init(RequestOptions options, int size);

    static native long helio_reserve(Pointer client);

    static native int helio_submit(
            Pointer client, byte[] json, Size length, RequestOptions options, Pointer id, PointerByReference error);

    static native int helio_cancel(Pointer client, long id);

    static native Pointer helio_buffer_data(Pointer buffer);

    static native Size helio_buffer_size(Pointer buffer);

    static native void helio_buffer_free(Pointer buffer);

    static native int helio_error_http_status(Pointer error);

    static native long helio_error_retry_after_ms(Pointer error);

    static native Pointer helio_error_message(Pointer error, SizeByReference length);

    static native Pointer helio_error_code(Pointer error, SizeByReference length);

    static native Pointer helio_error_type(Pointer error, SizeByReference length);

    static native Pointer helio_error_body(Pointer error, SizeByReference length);

    static native Pointer helio_error_report(Pointer error, SizeByReference length);

    static native void helio_error_free(Pointer error);

    static native int helio_chat_create(PointerByReference chat);

    static native void helio_chat_free(Pointer chat);

    static native int helio_chat_add(Pointer chat, byte[] role, byte[] text, Size length);

    static native int helio_chat_add_json(Pointer chat, byte[] message);

    static native int helio_chat_add_reply(Pointer chat, byte[] completion);

    static native int helio_chat_add_tool_result(Pointer chat, byte[] id, byte[] text, Size length);

    static native Size helio_chat_count(Pointer chat);

    static native int helio_chat_remove(Pointer chat, Size first, Size count);

    static native int helio_chat_request(Pointer chat, byte[] parameters, PointerByReference body);

    static native Pointer helio_chat_error(Pointer chat);

    static native int helio_json_get(byte[] json, Size length, byte[] pointer, PointerByReference value);

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** With the NUL that ends it; null stays null. */
    static byte[] ended(String text) {
        return text == null ? null : utf8(text + "\0");
    }

    /** A copy of the library's text; null: it is absent. */
    static String text(Pointer start, long length) {
        return start == null ? null : new String(start.getByteArray(0, (int) length), StandardCharsets.UTF_8);
    }

    static String orEmpty(String text) {
        return text == null ? "" : text;
    }

    /** The text of a buffer, which is freed. */
    static String taken(Pointer buffer) {
        if (buffer == null) {
            return null;
        }
        String text = text(helio_buffer_data(buffer), helio_buffer_size(buffer).longValue());
        helio_buffer_free(buffer);
        return text;
    }
}
