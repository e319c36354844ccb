#if NET8_0_OR_GREATER
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;

namespace Helio
{
    public sealed partial class Client
    {
        private Thread receiver;

        /// <summary>Ask, and await the whole answer.</summary>
        public async Task<Completion> CompleteAsync(string request, string overrides = null, CancellationToken token = default)
        {
            using var stream = BeginAsync(request, overrides, token, out var came);
            while (!await Next(stream, came).ConfigureAwait(false))
            {
                while (stream.TryRead(out _))
                {
                }
            }
            return stream.Completion;
        }

        /// <summary>Ask, and get the chunks by await foreach. Leaving the loop cancels the request.</summary>
        public async IAsyncEnumerable<Chunk> StreamAsync(
            string request, string overrides = null, [EnumeratorCancellation] CancellationToken token = default)
        {
            using var stream = BeginAsync(request, overrides, token, out var came);
            while (!await Next(stream, came).ConfigureAwait(false))
            {
                while (stream.TryRead(out var chunk))
                {
                    yield return chunk;
                }
            }
        }

        private ResponseStream BeginAsync(string request, string overrides, CancellationToken token, out SemaphoreSlim came)
        {
            var signal = came = new SemaphoreSlim(0);
            var stream = Stream(request, overrides, token);
            stream.Mailbox.Came = () => signal.Release();
            signal.Release(); // what came before
            lock (gate)
            {
                // One thread for all streams, from the first that awaits until the client is disposed of.
                if (receiver == null)
                {
                    receiver = new Thread(() => ReceiveUntil(() => isOver)) { IsBackground = true, Name = "helio" };
                    receiver.Start();
                }
            }
            return stream;
        }

        /// <summary>Wait for news. True: the stream has ended, and well.</summary>
        private static async Task<bool> Next(ResponseStream stream, SemaphoreSlim came)
        {
            if (stream.IsDone)
            {
                stream.ThrowIfFailed();
                return true;
            }
            await came.WaitAsync().ConfigureAwait(false);
            return false;
        }
    }
}
#endif
