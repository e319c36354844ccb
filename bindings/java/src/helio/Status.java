package helio;

/** Which outcome an error is; docs/errors.md says when each comes. */
public enum Status {
    INVALID_ARGUMENT(-1),
    INVALID_UTF8(-2),
    INVALID_JSON(-3),
    UNSUPPORTED(-4),
    REENTRANT(-5),
    SHUT_DOWN(-6),
    FORKED(-7),
    BUSY(-8),
    TIMEOUT(-9),
    CANCELLED(-10),
    DNS(-20),
    CONNECT(-21),
    TLS(-22),
    PROXY(-23),
    NETWORK(-24),
    PROTOCOL(-30),
    TRUNCATED(-31),
    TOO_LARGE(-32),
    BAD_REQUEST(-40),
    AUTHENTICATION(-41),
    PERMISSION(-42),
    NOT_FOUND(-43),
    RATE_LIMITED(-44),
    QUOTA_EXCEEDED(-45),
    CONTEXT_LENGTH(-46),
    CONTENT_FILTERED(-47),
    OVERLOADED(-48),
    SERVER(-49),
    INTERNAL(-99),
    /** One that this version does not know. */
    UNKNOWN(1);

    final int number;

    Status(int number) {
        this.number = number;
    }

    static Status of(int number) {
        for (Status status : values()) {
            if (status.number == number) {
                return status;
            }
        }
        return UNKNOWN;
    }
}
