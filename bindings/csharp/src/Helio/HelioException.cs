using System;
using System.Runtime.InteropServices;

namespace Helio
{
    /// <summary>Which outcome an error is; docs/errors.md says when each comes. The set is open.</summary>
    public enum Status
    {
        InvalidArgument = -1,
        InvalidUtf8 = -2,
        InvalidJson = -3,
        Unsupported = -4,
        Reentrant = -5,
        ShutDown = -6,
        Forked = -7,
        Busy = -8,
        Timeout = -9,
        Cancelled = -10,
        Dns = -20,
        Connect = -21,
        Tls = -22,
        Proxy = -23,
        Network = -24,
        Protocol = -30,
        Truncated = -31,
        TooLarge = -32,
        BadRequest = -40,
        Authentication = -41,
        Permission = -42,
        NotFound = -43,
        RateLimited = -44,
        QuotaExceeded = -45,
        ContextLength = -46,
        ContentFiltered = -47,
        Overloaded = -48,
        Server = -49,
        Internal = -99,
    }

    /// <summary>Why a call failed: what happened, where, and what to do. Holds no key.</summary>
    public sealed class HelioException : Exception
    {
        public Status Status { get; }

        /// <summary>Like "HELIO_ERR_TIMEOUT".</summary>
        public string StatusName { get; }

        /// <summary>The sentence alone; Message has the status before it.</summary>
        public string Reason { get; }

        /// <summary>0 before a response.</summary>
        public int HttpStatus { get; }

        /// <summary>The server's code; of Timeout which deadline it was: "connect", "first_event", "idle" or "total". May be null.</summary>
        public string Code { get; }

        /// <summary>The server's type of error, or null.</summary>
        public string Type { get; }

        /// <summary>What the server said, its first MiB; or null.</summary>
        public string Body { get; }

        /// <summary>Milliseconds to wait before another try; -1: another try makes no sense.</summary>
        public long RetryAfterMs { get; }

        /// <summary>The evidence, JSON; null if nothing was sent.</summary>
        public string Report { get; }

        /// <summary>The answer as far as it had come, or null.</summary>
        public Completion Completion { get; }

        /// <summary>What the library's own error says. It is copied, and not freed.</summary>
        internal HelioException(int status, IntPtr error, Completion completion = null)
            : base(Name(status) + ": " + ReasonOf(error))
        {
            UIntPtr length;
            Status = (Status)status;
            StatusName = Name(status);
            Reason = ReasonOf(error);
            var told = Native.helio_error_code(error, out length);
            Code = Native.Text(told, length);
            told = Native.helio_error_type(error, out length);
            Type = Native.Text(told, length);
            told = Native.helio_error_body(error, out length);
            Body = Native.Text(told, length);
            told = Native.helio_error_report(error, out length);
            Report = Native.Text(told, length);
            HttpStatus = Native.helio_error_http_status(error);
            RetryAfterMs = Native.helio_error_retry_after_ms(error);
            Completion = completion;
        }

        internal HelioException(Status status) : this((int)status, IntPtr.Zero)
        {
        }

        private static string Name(int status)
        {
            return Marshal.PtrToStringAnsi(Native.helio_status_name(status));
        }

        private static string ReasonOf(IntPtr error)
        {
            UIntPtr length;
            var told = Native.helio_error_message(error, out length);
            return Native.Text(told, length) ?? "the call failed";
        }

        /// <summary>Throws what a call that failed has given; its error is freed.</summary>
        internal static void Check(int status, IntPtr error = default(IntPtr))
        {
            if (status == 0)
            {
                return;
            }
            var thrown = new HelioException(status, error);
            Native.helio_error_free(error);
            throw thrown;
        }
    }
}
