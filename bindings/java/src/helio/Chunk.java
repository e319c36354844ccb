package helio;

/**
 * One chunk of a stream.
 *
 * @param text what choice 0 says in it; often nothing
 * @param reasoning likewise of its reasoning
 * @param data its JSON, as the server sent it
 */
public record Chunk(String text, String reasoning, String data) {}
