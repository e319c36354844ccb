package helio;

import com.sun.jna.ptr.PointerByReference;
import java.util.Optional;

/** Values out of JSON. */
public final class Json {
    private Json() {}

    /**
     * One value by its JSON Pointer (RFC 6901), like "/choices/0/message/content": a string comes out unescaped, anything else as it is
     * written.
     *
     * @return empty: nothing is there
     */
    public static Optional<String> get(String document, String pointer) {
        byte[] bytes = C.utf8(document);
        PointerByReference value = new PointerByReference();
        int status = C.helio_json_get(bytes, new C.Size(bytes.length), C.ended(pointer), value);
        if (status == Status.NOT_FOUND.number) {
            return Optional.empty();
        }
        HelioException.check(status, null);
        return Optional.of(C.taken(value.getValue()));
    }
}
