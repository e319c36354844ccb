using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;

namespace Helio
{
    /// <summary>
    /// Asks large language models for chat completions. Dispose of it; one that is forgotten lets go by itself.
    /// Requests and configs are JSON texts; requests go out byte for byte.
    /// A game calls Update once per frame and looks at its streams; who waits (Complete, foreach) receives for all meanwhile.
    /// </summary>
    public sealed partial class Client : IDisposable
    {
        private readonly ClientHandle handle;
        private readonly Dictionary<ulong, Mailbox> mailboxes = new Dictionary<ulong, Mailbox>(); // guarded by gate
        private readonly object gate = new object(); // no native call that waits is made with it
        private bool isReceiving; // one thread at a time takes events
        private bool isOver; // none will come any more

        /// <param name="config">docs/configuration.md; null: the environment (HELIO_BASE_URL, HELIO_API_KEY).</param>
        /// <exception cref="HelioException">It is wrong; the message names the key to change.</exception>
        public Client(string config = null)
        {
            if (Native.helio_abi_version() != Native.AbiVersion)
            {
                throw new DllNotFoundException("libhelio has another interface than this package is made for");
            }
            var options = new Native.ClientOptions();
            Native.helio_client_options_init(ref options, (uint)Marshal.SizeOf(typeof(Native.ClientOptions)));
            using (var text = new Lent(config))
            {
                options.Config = text.Start;
                options.ConfigLen = text.Length;
                IntPtr client, error;
                HelioException.Check(Native.helio_client_create(ref options, out client, out error), error);
                handle = new ClientHandle(client);
            }
        }

        /// <summary>Ask, and wait for the whole answer.</summary>
        /// <param name="overrides">Config for this one request, JSON; or null.</param>
        /// <exception cref="OperationCanceledException">The token has ended it.</exception>
        public Completion Complete(string request, string overrides = null, CancellationToken token = default(CancellationToken))
        {
            using (var stream = Stream(request, overrides, token))
            {
                foreach (var chunk in stream)
                {
                }
                return stream.Completion;
            }
        }

        /// <summary>Ask, and get the chunks one by one; say "stream": true in the request. It begins at once.</summary>
        public ResponseStream Stream(string request, string overrides = null, CancellationToken token = default(CancellationToken))
        {
            var mailbox = new Mailbox();
            var options = new Native.RequestOptions();
            Native.helio_request_options_init(ref options, (uint)Marshal.SizeOf(typeof(Native.RequestOptions)));
            options.Delivery = Native.DeliveryPull;
            ulong id = Call(() => Native.helio_reserve(handle));
            if (id == 0)
            {
                throw new HelioException(Status.ShutDown);
            }
            options.Id = id;
            lock (gate)
            {
                mailboxes.Add(id, mailbox);
            }
            if (token.IsCancellationRequested)
            {
                Cancel(id);
            }
            var body = Native.Utf8(request);
            try
            {
                using (var text = new Lent(overrides))
                {
                    options.Overrides = text.Start;
                    options.OverridesLen = text.Length;
                    IntPtr error = IntPtr.Zero;
                    HelioException.Check(Call(() => Native.helio_submit(handle, body, Native.Length(body), ref options, IntPtr.Zero, out error)), error);
                }
            }
            catch (HelioException error)
            {
                lock (gate)
                {
                    mailboxes.Remove(id);
                }
                // A token that was there before has ended it: the reader is told, as later.
                if (!token.IsCancellationRequested || error.Status != Status.Cancelled)
                {
                    throw;
                }
                mailbox.Add(new Told { Error = error });
            }
            return new ResponseStream(this, id, mailbox, token);
        }

        /// <summary>
        /// Hand out the events that are there, after a wait of at most so many milliseconds for the first. For a game: once per frame,
        /// without waiting.
        /// </summary>
        /// <returns>How many there were; also 0 while another thread receives.</returns>
        public int Update(int timeoutMs = 0)
        {
            lock (gate)
            {
                if (isReceiving || isOver)
                {
                    return 0;
                }
                isReceiving = true;
            }
            var count = 0;
            try
            {
                while (Receive(count == 0 ? (uint)timeoutMs : 0) == 1)
                {
                    count++;
                }
            }
            finally
            {
                StopReceiving();
            }
            return count;
        }

        /// <summary>Use another key for requests that start later; null: none.</summary>
        public void SetApiKey(string key)
        {
            var text = key == null ? null : Native.Utf8(key);
            var length = new UIntPtr((ulong)(text?.Length ?? 0));
            HelioException.Check(Call(() => Native.helio_client_set_api_key(handle, text, length)));
        }

        /// <summary>Open a connection ahead of the first request. Returns at once.</summary>
        public void Prewarm()
        {
            HelioException.Check(Call(() => Native.helio_client_prewarm(handle)));
        }

        /// <summary>Figures of the client, JSON: requests, connections, threads.</summary>
        public string Stats()
        {
            IntPtr json = IntPtr.Zero;
            HelioException.Check(Call(() => Native.helio_client_stats(handle, out json)));
            return Native.Taken(json);
        }

        /// <summary>End all requests with ShutDown. Any thread, any number of times.</summary>
        public void Dispose()
        {
            try
            {
                Native.helio_client_shutdown(handle);
            }
            catch (ObjectDisposedException)
            {
                return;
            }
            // Those who wait get their ends, from here or from who receives.
            ReceiveUntil(() => isOver);
            handle.Dispose();
        }

        public override string ToString()
        {
            return "Helio.Client " + (handle.IsClosed ? "closed" : "open");
        }

        /// <summary>The version of the library that is loaded.</summary>
        public static string Version => Marshal.PtrToStringAnsi(Native.helio_version_string());

        internal void Cancel(ulong id)
        {
            try
            {
                Native.helio_cancel(handle, id);
            }
            catch (ObjectDisposedException)
            {
                // It has ended with its client.
            }
        }

        /// <summary>Wait until something came for it.</summary>
        internal void WaitFor(Mailbox mailbox)
        {
            ReceiveUntil(() => mailbox.HasAny || isOver);
            if (!mailbox.HasAny)
            {
                mailbox.Add(new Told { Error = new HelioException(Status.ShutDown) });
            }
        }

        /// <summary>One thread receives, the others wait for what it hands out; who has what it wants leaves the receiving to the next.</summary>
        private void ReceiveUntil(Func<bool> holds)
        {
            while (true)
            {
                lock (gate)
                {
                    while (isReceiving && !holds())
                    {
                        Monitor.Wait(gate);
                    }
                    if (holds())
                    {
                        return;
                    }
                    isReceiving = true;
                }
                try
                {
                    Receive(Native.Forever);
                }
                finally
                {
                    StopReceiving();
                }
            }
        }

        private void StopReceiving()
        {
            lock (gate)
            {
                isReceiving = false;
                Monitor.PulseAll(gate);
            }
        }

        /// <summary>Take one event to its stream. 1: there was one; 0: none in time; -1: none will come any more.</summary>
        private int Receive(uint timeoutMs)
        {
            IntPtr pointer = IntPtr.Zero;
            int status;
            try
            {
                status = Native.helio_next_event(handle, timeoutMs, out pointer);
            }
            catch (ObjectDisposedException)
            {
                status = (int)Status.ShutDown;
            }
            if (status != 0)
            {
                lock (gate)
                {
                    isOver = true;
                }
                return -1;
            }
            if (pointer == IntPtr.Zero)
            {
                return 0;
            }
            var theEvent = (Native.Event)Marshal.PtrToStructure(pointer, typeof(Native.Event));
            var told = ToldBy(theEvent);
            Native.helio_event_release(pointer);
            if (told != null)
            {
                lock (gate)
                {
                    Mailbox mailbox;
                    if (mailboxes.TryGetValue(theEvent.Request, out mailbox))
                    {
                        mailbox.Add(told);
                        if (told.IsEnd)
                        {
                            mailboxes.Remove(theEvent.Request);
                        }
                    }
                    Monitor.PulseAll(gate);
                }
            }
            return 1;
        }

        private static Told ToldBy(Native.Event one)
        {
            if (one.Kind != Native.Chunk && one.Kind != Native.Done)
            {
                return null;
            }
            var data = Native.Text(one.Data, one.Len);
            var text = Native.Text(one.Text, one.TextLen) ?? "";
            var reasoning = Native.Text(one.Reasoning, one.ReasoningLen) ?? "";
            if (one.Kind == Native.Chunk)
            {
                return new Told { Chunk = new Chunk(text, reasoning, data) };
            }
            var report = Native.Text(one.Report, one.ReportLen);
            var completion = data == null ? null : new Completion(text, reasoning, data, report);
            var error = one.Status == 0 ? null : new HelioException(one.Status, one.Error, completion);
            return new Told { Completion = completion, Error = error };
        }

        /// <summary>A call with the client: it does not start on one that is gone.</summary>
        private static T Call<T>(Func<T> native)
        {
            try
            {
                return native();
            }
            catch (ObjectDisposedException)
            {
                throw new HelioException(Status.ShutDown);
            }
        }

        /// <summary>A text in native memory for one call; null: HELIO_STRLEN and no text.</summary>
        private sealed class Lent : IDisposable
        {
            internal readonly IntPtr Start = IntPtr.Zero;
            internal readonly UIntPtr Length = UIntPtr.Zero;

            internal Lent(string text)
            {
                if (text == null)
                {
                    return;
                }
                var bytes = Native.Ended(text);
                Start = Marshal.AllocHGlobal(bytes.Length);
                Marshal.Copy(bytes, 0, Start, bytes.Length);
                Length = new UIntPtr((ulong)bytes.Length - 1);
            }

            public void Dispose()
            {
                Marshal.FreeHGlobal(Start);
            }
        }
    }

    /// <summary>What a stream was told and has not been asked for. The client knows it, and not the stream, so that this can be collected.</summary>
    internal sealed class Mailbox
    {
        private readonly Queue<Told> waiting = new Queue<Told>();

        /// <summary>Called when something came, on the thread that receives. For the async form.</summary>
        internal Action Came;

        internal void Add(Told told)
        {
            lock (waiting)
            {
                waiting.Enqueue(told);
            }
            Came?.Invoke();
        }

        internal bool HasAny
        {
            get
            {
                lock (waiting)
                {
                    return waiting.Count > 0;
                }
            }
        }

        internal Told Take()
        {
            lock (waiting)
            {
                return waiting.Count > 0 ? waiting.Dequeue() : null;
            }
        }
    }
}
