using System;
using System.Runtime.InteropServices;
using System.Text;

namespace Helio
{
    /// <summary>The C functions. No code of ours is called back, so that ahead-of-time compilers like IL2CPP take it.</summary>
    internal static class Native
    {
#if UNITY_IOS && !UNITY_EDITOR
        private const string Library = "__Internal";
#else
        private const string Library = "helio";
#endif
        internal const uint AbiVersion = 1;
        internal const uint Forever = 0xFFFFFFFF;
        internal const uint DeliveryPull = 1;
        internal const uint Chunk = 2;
        internal const uint Done = 3;

        [StructLayout(LayoutKind.Sequential)]
        internal struct ClientOptions
        {
            internal uint StructSize;
            internal uint Flags;
            internal IntPtr Config;
            internal UIntPtr ConfigLen;
            internal IntPtr LogFn;
            internal IntPtr LogUserData;
            internal int LogLevel;
            internal uint Reserved0;
            internal IntPtr NotifyFn;
            internal IntPtr NotifyUserData;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct RequestOptions
        {
            internal uint StructSize;
            internal uint Delivery;
            internal ulong Id;
            internal IntPtr OnEvent;
            internal IntPtr UserData;
            internal IntPtr Overrides;
            internal UIntPtr OverridesLen;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct Event
        {
            internal uint StructSize;
            internal uint Kind;
            internal ulong Request;
            internal IntPtr UserData;
            internal IntPtr Data;
            internal UIntPtr Len;
            internal IntPtr Text;
            internal UIntPtr TextLen;
            internal IntPtr Reasoning;
            internal UIntPtr ReasoningLen;
            internal int Status;
            internal int HttpStatus;
            internal IntPtr Error;
            internal IntPtr Report;
            internal UIntPtr ReportLen;
        }

        [DllImport(Library)] internal static extern void helio_client_options_init(ref ClientOptions options, uint size);
        [DllImport(Library)] internal static extern int helio_client_create(ref ClientOptions options, out IntPtr client, out IntPtr error);
        [DllImport(Library)] internal static extern int helio_client_set_api_key(ClientHandle client, byte[] key, UIntPtr length);
        [DllImport(Library)] internal static extern int helio_client_prewarm(ClientHandle client);
        [DllImport(Library)] internal static extern int helio_client_stats(ClientHandle client, out IntPtr json);
        [DllImport(Library)] internal static extern int helio_client_shutdown(ClientHandle client);
        [DllImport(Library)] internal static extern void helio_client_release(IntPtr client);
        [DllImport(Library)] internal static extern int helio_next_event(ClientHandle client, uint timeoutMs, out IntPtr theEvent);
        [DllImport(Library)] internal static extern void helio_event_release(IntPtr theEvent);
        [DllImport(Library)] internal static extern IntPtr helio_version_string();
        [DllImport(Library)] internal static extern uint helio_abi_version();
        [DllImport(Library)] internal static extern IntPtr helio_status_name(int status);
        [DllImport(Library)] internal static extern void helio_request_options_init(ref RequestOptions options, uint size);
        [DllImport(Library)] internal static extern ulong helio_reserve(ClientHandle client);
        [DllImport(Library)] internal static extern int helio_submit(ClientHandle client, byte[] json, UIntPtr length, ref RequestOptions options, IntPtr id, out IntPtr error);
        [DllImport(Library)] internal static extern int helio_cancel(ClientHandle client, ulong id);
        [DllImport(Library)] internal static extern IntPtr helio_buffer_data(IntPtr buffer);
        [DllImport(Library)] internal static extern UIntPtr helio_buffer_size(IntPtr buffer);
        [DllImport(Library)] internal static extern void helio_buffer_free(IntPtr buffer);
        [DllImport(Library)] internal static extern int helio_error_http_status(IntPtr error);
        [DllImport(Library)] internal static extern long helio_error_retry_after_ms(IntPtr error);
        [DllImport(Library)] internal static extern IntPtr helio_error_message(IntPtr error, out UIntPtr length);
        [DllImport(Library)] internal static extern IntPtr helio_error_code(IntPtr error, out UIntPtr length);
        [DllImport(Library)] internal static extern IntPtr helio_error_type(IntPtr error, out UIntPtr length);
        [DllImport(Library)] internal static extern IntPtr helio_error_body(IntPtr error, out UIntPtr length);
        [DllImport(Library)] internal static extern IntPtr helio_error_report(IntPtr error, out UIntPtr length);
        [DllImport(Library)] internal static extern void helio_error_free(IntPtr error);
        [DllImport(Library)] internal static extern int helio_chat_create(out IntPtr chat);
        [DllImport(Library)] internal static extern void helio_chat_free(IntPtr chat);
        [DllImport(Library)] internal static extern int helio_chat_add(ChatHandle chat, byte[] role, byte[] text, UIntPtr length);
        [DllImport(Library)] internal static extern int helio_chat_add_json(ChatHandle chat, byte[] message);
        [DllImport(Library)] internal static extern int helio_chat_add_reply(ChatHandle chat, byte[] completion);
        [DllImport(Library)] internal static extern int helio_chat_add_tool_result(ChatHandle chat, byte[] id, byte[] text, UIntPtr length);
        [DllImport(Library)] internal static extern UIntPtr helio_chat_count(ChatHandle chat);
        [DllImport(Library)] internal static extern int helio_chat_remove(ChatHandle chat, UIntPtr first, UIntPtr count);
        [DllImport(Library)] internal static extern int helio_chat_request(ChatHandle chat, byte[] parameters, out IntPtr body);
        [DllImport(Library)] internal static extern IntPtr helio_chat_error(ChatHandle chat);
        [DllImport(Library)] internal static extern int helio_json_get(byte[] json, UIntPtr length, byte[] pointer, out IntPtr value);

        internal static byte[] Utf8(string text)
        {
            return Encoding.UTF8.GetBytes(text);
        }

        /// <summary>With the NUL that ends it; null stays null.</summary>
        internal static byte[] Ended(string text)
        {
            return text == null ? null : Utf8(text + "\0");
        }

        internal static UIntPtr Length(byte[] bytes)
        {
            return new UIntPtr((ulong)bytes.Length);
        }

        /// <summary>A copy of the library's text; null: it is absent.</summary>
        internal static string Text(IntPtr start, UIntPtr length)
        {
            if (start == IntPtr.Zero)
            {
                return null;
            }
            var bytes = new byte[(int)length.ToUInt64()];
            Marshal.Copy(start, bytes, 0, bytes.Length);
            return Encoding.UTF8.GetString(bytes);
        }

        /// <summary>The text of a buffer, which is freed.</summary>
        internal static string Taken(IntPtr buffer)
        {
            var text = Text(helio_buffer_data(buffer), helio_buffer_size(buffer));
            helio_buffer_free(buffer);
            return text;
        }
    }

    /// <summary>Owns the C client: it goes when no call runs with it any more.</summary>
    internal sealed class ClientHandle : SafeHandle
    {
        internal ClientHandle(IntPtr client) : base(IntPtr.Zero, true)
        {
            SetHandle(client);
        }

        public override bool IsInvalid => handle == IntPtr.Zero;

        protected override bool ReleaseHandle()
        {
            Native.helio_client_release(handle);
            return true;
        }
    }

    /// <summary>Owns a conversation.</summary>
    internal sealed class ChatHandle : SafeHandle
    {
        internal ChatHandle(IntPtr chat) : base(IntPtr.Zero, true)
        {
            SetHandle(chat);
        }

        public override bool IsInvalid => handle == IntPtr.Zero;

        protected override bool ReleaseHandle()
        {
            Native.helio_chat_free(handle);
            return true;
        }
    }
}
