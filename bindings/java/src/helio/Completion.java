package helio;

/**
 * A chat.completion: whole or, in an exception, as far as it had come.
 *
 * @param text all that choice 0 says; nothing where it only calls tools
 * @param reasoning likewise its reasoning
 * @param data its JSON: as the server sent it, or put together from the chunks
 * @param report the evidence, JSON: attempts, times, usage, what the gateway said
 */
public record Completion(String text, String reasoning, String data, String report) {}
