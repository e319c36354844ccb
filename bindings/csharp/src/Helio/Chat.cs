using System;

namespace Helio
{
    /// <summary>The messages of a conversation. Belongs to no client; one thread at a time uses it.</summary>
    public sealed class Chat : IDisposable
    {
        private readonly ChatHandle handle;

        public Chat()
        {
            IntPtr chat;
            HelioException.Check(Native.helio_chat_create(out chat));
            handle = new ChatHandle(chat);
        }

        /// <summary>How many messages there are.</summary>
        public int Count => (int)Native.helio_chat_count(handle).ToUInt64();

        /// <summary>Add a text of "system", "developer", "user" or "assistant".</summary>
        public void Add(string role, string text)
        {
            var bytes = Native.Utf8(text);
            Check(Native.helio_chat_add(handle, Native.Ended(role), bytes, Native.Length(bytes)));
        }

        /// <summary>Add a message of any kind as JSON, or an array of them, all or none.</summary>
        public void AddJson(string message)
        {
            Check(Native.helio_chat_add_json(handle, Native.Ended(message)));
        }

        /// <summary>Add the assistant's message of an answer as servers want it back: tool calls, reasoning and signatures included.</summary>
        public void AddReply(Completion completion)
        {
            Check(Native.helio_chat_add_reply(handle, Native.Ended(completion.Data)));
        }

        /// <summary>Add what a tool answered.</summary>
        public void AddToolResult(string toolCallId, string text)
        {
            var bytes = Native.Utf8(text);
            Check(Native.helio_chat_add_tool_result(handle, Native.Ended(toolCallId), bytes, Native.Length(bytes)));
        }

        /// <summary>Remove messages, from the place of the first one.</summary>
        public void Remove(int first, int count)
        {
            Check(Native.helio_chat_remove(handle, new UIntPtr((uint)first), new UIntPtr((uint)count)));
        }

        /// <summary>The body of a request: these parameters (JSON, without "messages"; null: none), and the messages behind them.</summary>
        public string Request(string parameters = null)
        {
            IntPtr body;
            Check(Native.helio_chat_request(handle, Native.Ended(parameters), out body));
            return Native.Taken(body);
        }

        public void Dispose()
        {
            handle.Dispose();
        }

        /// <summary>The error stays the chat's.</summary>
        private void Check(int status)
        {
            if (status != 0)
            {
                throw new HelioException(status, Native.helio_chat_error(handle));
            }
        }
    }

    /// <summary>Values out of JSON.</summary>
    public static class Json
    {
        /// <summary>
        /// One value by its JSON Pointer (RFC 6901), like "/choices/0/message/content": a string comes out unescaped, anything else as it
        /// is written. Null: nothing is there.
        /// </summary>
        public static string Get(string document, string pointer)
        {
            var bytes = Native.Utf8(document);
            IntPtr value;
            var status = Native.helio_json_get(bytes, Native.Length(bytes), Native.Ended(pointer), out value);
            if (status == (int)Status.NotFound)
            {
                return null;
            }
            HelioException.Check(status);
            return Native.Taken(value);
        }
    }
}
