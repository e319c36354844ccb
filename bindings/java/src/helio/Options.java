package helio;

/**
 * What is special about one request.
 *
 * @param overrides config for it, JSON; null: none
 * @param cancellation what may cancel it; null: nothing but the stream itself
 */
public record Options(String overrides, Cancellation cancellation) {
    static final Options NONE = new Options(null, null);

    public static Options overrides(String json) {
        return new Options(json, null);
    }

    public static Options cancelledBy(Cancellation cancellation) {
        return new Options(null, cancellation);
    }
}
