using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading;
using Helio;

/// <summary>Does what a line of bindings/scenarios.json tells it to.</summary>
internal static class Driver
{
    private sealed class Told
    {
        internal readonly List<string> Texts = new List<string>();
        internal string Status = "HELIO_OK";
        internal Completion Completion;
        internal HelioException Error;
        internal int Right;

        internal string Json(string shown)
        {
            var failure = "null";
            if (Error != null)
            {
                Completion = Error.Completion;
                Status = Error.StatusName;
                failure = $"{{\"message\":{Quoted(Error.Reason)},\"code\":{Quoted(Error.Code)},\"type\":{Quoted(Error.Type)},"
                    + $"\"http_status\":{Error.HttpStatus},\"retry_after_ms\":{Error.RetryAfterMs},\"body\":{Quoted(Error.Body)},"
                    + $"\"report\":{Quoted(Error.Report)}}}";
            }
            return $"{{\"status\":{Quoted(Status)},\"texts\":[{string.Join(",", Texts.Select(Quoted))}],\"data\":{Quoted(Completion?.Data)},"
                + $"\"error\":{failure},\"shown\":{Quoted(shown + " " + Error)},\"right\":{Right}}}";
        }
    }

    private static string Quoted(string text)
    {
        if (text == null)
        {
            return "null";
        }
        var made = new StringBuilder("\"");
        foreach (var one in text)
        {
            made.Append(one < ' ' || one == '"' || one == '\\' ? $"\\u{(int)one:x4}" : one.ToString());
        }
        return made.Append('"').ToString();
    }

    private static Told Outcome(Action<Told> work)
    {
        var told = new Told();
        try
        {
            work(told);
        }
        catch (HelioException error)
        {
            told.Error = error;
        }
        catch (OperationCanceledException error)
        {
            told.Error = (HelioException)error.InnerException;
        }
        return told;
    }

    private static Told Read(Func<ResponseStream> begin, Action<ResponseStream> atFirst = null)
    {
        return Outcome(told =>
        {
            var stream = begin();
            foreach (var chunk in stream)
            {
                if (chunk.Text != "")
                {
                    told.Texts.Add(chunk.Text);
                    if (told.Texts.Count == 1 && atFirst != null)
                    {
                        new Thread(() => atFirst(stream)).Start();
                    }
                }
            }
            told.Completion = stream.Completion;
        });
    }

    /// <summary>As a game does it: Update, TryRead, never waiting.</summary>
    private static string FirstText(Client client, ResponseStream stream)
    {
        Chunk chunk;
        while (true)
        {
            client.Update();
            while (stream.TryRead(out chunk))
            {
                if (chunk.Text != "")
                {
                    return chunk.Text;
                }
            }
            Thread.Sleep(1);
        }
    }

    private static void Drop(Client client, string request, Told told)
    {
        told.Texts.Add(FirstText(client, client.Stream(request)));
        told.Status = "LEFT";
    }

    private static Told Run(string action, Client client, string request, int count)
    {
        var cancellation = new CancellationTokenSource();
        switch (action)
        {
            case "create":
                return new Told();
            case "complete":
                return Outcome(told => told.Completion = client.Complete(request));
            case "stream":
                return Read(() => client.Stream(request));
            case "cancel_before":
                cancellation.Cancel();
                return Read(() => client.Stream(request, null, cancellation.Token));
            case "cancel_during":
                return Read(() => client.Stream(request, null, cancellation.Token), stream => cancellation.Cancel());
            case "cancel_after":
                var ended = Read(() => client.Stream(request, null, cancellation.Token));
                cancellation.Cancel();
                return ended;
            case "many":
                return Outcome(told =>
                {
                    var streams = Enumerable.Range(0, count).Select(number => client.Stream(request.Replace("#N#", $"{number}"))).ToList();
                    var threads = streams.Select((stream, number) => new Thread(() =>
                    {
                        foreach (var chunk in stream)
                        {
                        }
                        if (stream.Completion.Text == $"You said: {number}")
                        {
                            Interlocked.Increment(ref told.Right);
                        }
                    })).ToList();
                    threads.ForEach(thread => thread.Start());
                    threads.ForEach(thread => thread.Join());
                });
            case "leave":
                return Outcome(told =>
                {
                    foreach (var chunk in client.Stream(request))
                    {
                        if (chunk.Text != "")
                        {
                            told.Texts.Add(chunk.Text);
                            break;
                        }
                    }
                    told.Status = "LEFT";
                });
            case "drop":
                // On a thread of its own: its stack, which a conservative collector looks at, goes with it.
                var left = new Told();
                var dropping = new Thread(() => Drop(client, request, left));
                dropping.Start();
                dropping.Join();
                for (var turn = 0; turn < 5; turn++)
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                }
                return left;
            case "close":
                return Read(() => client.Stream(request), stream => client.Dispose());
            case "tools":
                return Outcome(told =>
                {
                    using (var chat = new Chat())
                    {
                        chat.AddJson(Json.Get(request, "/messages"));
                        var parameters = "{\"model\":\"m\",\"tools\":" + Json.Get(request, "/tools") + "}";
                        var reply = client.Complete(chat.Request(parameters));
                        chat.AddReply(reply);
                        chat.AddToolResult(Json.Get(reply.Data, "/choices/0/message/tool_calls/0/id"), "42");
                        told.Completion = client.Complete(chat.Request(parameters));
                    }
                });
            default:
                throw new ArgumentException(action);
        }
    }

    private static void Main()
    {
        var lines = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
        var answers = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)) { AutoFlush = true };
        Client open = null;
        for (var line = lines.ReadLine(); line != null; line = lines.ReadLine())
        {
            open?.Dispose();
            open = null;
            var action = Json.Get(line, "/do");
            Client client = null;
            var asked = line;
            var told = Outcome(made => client = new Client(Json.Get(asked, "/config")));
            if (client != null)
            {
                told = Run(action, client, Json.Get(line, "/request"), int.Parse(Json.Get(line, "/count")));
                if (action == "leave" || action == "drop")
                {
                    open = client;
                }
                else
                {
                    client.Dispose();
                }
            }
            answers.WriteLine(told.Json($"{client}"));
        }
    }
}
