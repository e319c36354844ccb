package helio;

import com.sun.jna.Pointer;
import java.util.Optional;
import java.util.OptionalLong;

/** Why a call failed: what happened, where, and what to do. Holds no key. */
public final class HelioException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final Status status;
    private final String statusName;
    private final String reason;
    private final int httpStatus;
    private final long retryAfterMs;
    private final String code;
    private final String type;
    private final String body;
    private final String report;
    private final transient Completion completion;

    /** What the library's own error says. It is copied, and not freed. */
    HelioException(int number, Pointer error, Completion completion) {
        super(C.helio_status_name(number) + ": " + reasonOf(number, error));
        status = Status.of(number);
        statusName = C.helio_status_name(number);
        reason = reasonOf(number, error);
        httpStatus = C.helio_error_http_status(error);
        retryAfterMs = C.helio_error_retry_after_ms(error);
        C.SizeByReference length = new C.SizeByReference();
        Pointer told = C.helio_error_code(error, length);
        code = C.text(told, length.value());
        told = C.helio_error_type(error, length);
        type = C.text(told, length.value());
        told = C.helio_error_body(error, length);
        body = C.text(told, length.value());
        told = C.helio_error_report(error, length);
        report = C.text(told, length.value());
        this.completion = completion;
    }

    HelioException(Status status) {
        this(status.number, null, null);
    }

    private static String reasonOf(int number, Pointer error) {
        C.SizeByReference length = new C.SizeByReference();
        Pointer told = C.helio_error_message(error, length);
        return told == null ? "the call failed" : C.text(told, length.value());
    }

    /** Throws what a call that failed has given; its error is freed. */
    static void check(int number, Pointer error) {
        if (number == 0) {
            return;
        }
        HelioException thrown = new HelioException(number, error, null);
        C.helio_error_free(error);
        throw thrown;
    }

    public Status status() {
        return status;
    }

    /** Like "HELIO_ERR_TIMEOUT". */
    public String statusName() {
        return statusName;
    }

    /** The sentence alone; getMessage has the status before it. */
    public String reason() {
        return reason;
    }

    /** 0 before a response. */
    public int httpStatus() {
        return httpStatus;
    }

    /** The server's code; of TIMEOUT which deadline it was: "connect", "first_event", "idle" or "total". */
    public Optional<String> code() {
        return Optional.ofNullable(code);
    }

    /** The server's type of error. */
    public Optional<String> type() {
        return Optional.ofNullable(type);
    }

    /** What the server said, its first MiB. */
    public Optional<String> body() {
        return Optional.ofNullable(body);
    }

    /** Milliseconds to wait before another try; empty: another try makes no sense. */
    public OptionalLong retryAfterMs() {
        return retryAfterMs < 0 ? OptionalLong.empty() : OptionalLong.of(retryAfterMs);
    }

    /** The evidence, JSON; empty if nothing was sent. */
    public Optional<String> report() {
        return Optional.ofNullable(report);
    }

    /** The answer as far as it had come. */
    public Optional<Completion> completion() {
        return Optional.ofNullable(completion);
    }
}
