namespace Helio
{
    /// <summary>One chunk of a stream.</summary>
    public sealed class Chunk
    {
        internal Chunk(string text, string reasoning, string data)
        {
            Text = text;
            Reasoning = reasoning;
            Data = data;
        }

        /// <summary>What choice 0 says in it; often nothing.</summary>
        public string Text { get; }

        /// <summary>Likewise of its reasoning.</summary>
        public string Reasoning { get; }

        /// <summary>Its JSON, as the server sent it.</summary>
        public string Data { get; }
    }

    /// <summary>A chat.completion: whole or, in an exception, as far as it had come.</summary>
    public sealed class Completion
    {
        internal Completion(string text, string reasoning, string data, string report)
        {
            Text = text;
            Reasoning = reasoning;
            Data = data;
            Report = report;
        }

        /// <summary>All that choice 0 says; nothing where it only calls tools.</summary>
        public string Text { get; }

        public string Reasoning { get; }

        /// <summary>Its JSON: as the server sent it, or put together from the chunks.</summary>
        public string Data { get; }

        /// <summary>The evidence, JSON: attempts, times, usage, what the gateway said.</summary>
        public string Report { get; }
    }

    /// <summary>A chunk, or the end: a completion, an error, or both.</summary>
    internal sealed class Told
    {
        internal Chunk Chunk;
        internal Completion Completion;
        internal HelioException Error;

        internal bool IsEnd => Chunk == null;
    }
}
