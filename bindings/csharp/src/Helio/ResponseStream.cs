using System;
using System.Collections;
using System.Collections.Generic;
using System.Threading;

namespace Helio
{
    /// <summary>
    /// The chunks of one answer, for one thread. In a game: TryRead after each Update, until IsDone. Elsewhere: foreach, which waits, and
    /// cancels the request where the loop is left. One that was forgotten is cancelled when it is collected.
    /// </summary>
    public sealed class ResponseStream : IEnumerable<Chunk>, IDisposable
    {
        private readonly Client client;
        private readonly ulong id;
        private readonly CancellationToken token;
        private CancellationTokenRegistration registration;
        private Told end;

        internal ResponseStream(Client client, ulong id, Mailbox mailbox, CancellationToken token)
        {
            this.client = client;
            this.id = id;
            this.token = token;
            Mailbox = mailbox;
            if (token.CanBeCanceled)
            {
                // What the token knows must not be the stream.
                registration = token.Register(() => client.Cancel(id));
            }
        }

        ~ResponseStream()
        {
            client.Cancel(id);
        }

        internal Mailbox Mailbox { get; }

        /// <summary>Take the next chunk, if it is there. Never waits.</summary>
        public bool TryRead(out Chunk chunk)
        {
            var told = end == null ? Mailbox.Take() : null;
            chunk = told?.Chunk;
            if (told != null && told.IsEnd)
            {
                end = told;
                registration.Dispose();
                GC.SuppressFinalize(this);
            }
            return chunk != null;
        }

        /// <summary>Whether it has ended and all its chunks were read; then Error or Completion says how.</summary>
        public bool IsDone => end != null;

        /// <summary>The whole completion once it has ended; on an error what had come, or null.</summary>
        public Completion Completion => end?.Completion;

        /// <summary>Why it failed; null: it did not, or has not ended.</summary>
        public HelioException Error => end?.Error;

        /// <summary>End the request at once, from any thread: it ends with Cancelled. What has ended stays.</summary>
        public void Cancel()
        {
            client.Cancel(id);
        }

        /// <summary>Cancel the request, unless it has ended.</summary>
        public void Dispose()
        {
            client.Cancel(id);
            registration.Dispose();
            GC.SuppressFinalize(this);
        }

        /// <exception cref="HelioException">The answer has failed.</exception>
        /// <exception cref="OperationCanceledException">The token has ended it; its inner exception has what had come.</exception>
        public IEnumerator<Chunk> GetEnumerator()
        {
            try
            {
                Chunk chunk;
                while (true)
                {
                    if (TryRead(out chunk))
                    {
                        yield return chunk;
                    }
                    else if (IsDone)
                    {
                        ThrowIfFailed();
                        yield break;
                    }
                    else
                    {
                        client.WaitFor(Mailbox);
                    }
                }
            }
            finally
            {
                Dispose();
            }
        }

        IEnumerator IEnumerable.GetEnumerator()
        {
            return GetEnumerator();
        }

        internal void ThrowIfFailed()
        {
            if (Error == null)
            {
                return;
            }
            if (Error.Status == Status.Cancelled && token.IsCancellationRequested)
            {
                throw new OperationCanceledException(Error.Message, Error, token);
            }
            throw Error;
        }
    }
}
