using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Helio;

/// <summary>
/// What the table of scenarios does not have, because it is C#'s own: a program, for compilers without a test runner.
/// HELIO_BASE_URL leads to a server that says back what it was told.
/// </summary>
internal static class Own
{
    private static string Ask(string text, bool streams = false)
    {
        return "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"" + text + "\"}],\"stream\":" + (streams ? "true" : "false") + "}";
    }

    private static void Check(bool holds, object what)
    {
        if (!holds)
        {
            throw new Exception("it does not hold: " + what);
        }
    }

    private static void Fails(Status status, Action work)
    {
        try
        {
            work();
        }
        catch (HelioException error)
        {
            Check(error.Status == status, error);
            return;
        }
        throw new Exception("it did not fail with " + status);
    }

    private static void AGameNeverWaits()
    {
        using (var client = new Client("{\"api_key\":\"k\"}"))
        {
            var streams = Enumerable.Range(0, 5).Select(number => client.Stream(Ask("number " + number, true))).ToList();
            var said = new string[5];
            for (var frame = 0; streams.Any(stream => !stream.IsDone); frame++)
            {
                Check(frame < 60000, "it ends");
                client.Update();
                for (var number = 0; number < 5; number++)
                {
                    Chunk chunk;
                    while (streams[number].TryRead(out chunk))
                    {
                        said[number] += chunk.Text;
                    }
                }
                Thread.Sleep(1);
            }
            for (var number = 0; number < 5; number++)
            {
                Check(said[number] == "You said: number " + number && streams[number].Completion.Text == said[number], said[number]);
            }
        }
    }

    private static void ManyThreadsWaitOnOneClient()
    {
        using (var client = new Client("{\"api_key\":\"k\"}"))
        {
            var right = 0;
            var threads = Enumerable.Range(0, 16).Select(number => new Thread(() =>
            {
                for (var turn = 0; turn < 10; turn++)
                {
                    var text = $"{number}-{turn}";
                    if (client.Complete(Ask(text, turn % 2 == 0)).Text == "You said: " + text)
                    {
                        Interlocked.Increment(ref right);
                    }
                }
            })).ToList();
            threads.ForEach(thread => thread.Start());
            threads.ForEach(thread => thread.Join());
            Check(right == 160, right);
        }
    }

    private static void DisposingMayComeTwiceAndFromManyThreads()
    {
        var client = new Client("{\"api_key\":\"k\"}");
        Check(client.Complete(Ask("Hi")).Text == "You said: Hi", "complete");
        var threads = Enumerable.Range(0, 4).Select(number => new Thread(client.Dispose)).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        client.Dispose();
        Fails(Status.ShutDown, () => client.Complete(Ask("Hi")));
        Fails(Status.ShutDown, () => client.Prewarm());
        Fails(Status.ShutDown, () => client.Stats());
        Fails(Status.ShutDown, () => client.SetApiKey("x"));
        Check(client.Update() == 0 && client.ToString() == "Helio.Client closed", client);
    }

    private static void ATokenThatWasCancelledIsSaid()
    {
        using (var client = new Client("{\"api_key\":\"k\"}"))
        {
            var cancelled = new CancellationTokenSource();
            cancelled.Cancel();
            try
            {
                client.Complete(Ask("Hi"), null, cancelled.Token);
                throw new Exception("it was sent");
            }
            catch (OperationCanceledException error)
            {
                Check(((HelioException)error.InnerException).Status == Status.Cancelled, error);
            }
        }
    }

    private static void TextsGoInAndOutAsTheyAre()
    {
        using (var client = new Client("{\"api_key\":\"k\"}"))
        using (var chat = new Chat())
        {
            Check(client.Complete(Ask("✓ 🌍")).Text == "You said: ✓ 🌍", "UTF-8");
            Fails(Status.InvalidJson, () => client.Complete("[]"));
            Fails(Status.InvalidArgument, () => client.Complete(Ask("Hi"), "{\"nothing\":1}"));
            Fails(Status.BadRequest, () => client.Complete("{\"model\":\"refuse\",\"messages\":[]}"));
            chat.Add("user", "Hi ✓");
            chat.Add("user", "");
            Fails(Status.InvalidArgument, () => chat.Add("nobody", "x"));
            Check(Json.Get(chat.Request(), "/messages/0/content") == "Hi ✓", chat.Request());
            chat.Remove(0, 2);
            Check(chat.Count == 0 && Json.Get("{}", "/a") == null, "nothing is there");
        }
    }

    private static void Main()
    {
        foreach (var test in new List<Action>
        {
            AGameNeverWaits, ManyThreadsWaitOnOneClient, DisposingMayComeTwiceAndFromManyThreads, ATokenThatWasCancelledIsSaid, TextsGoInAndOutAsTheyAre,
        })
        {
            test();
        }
        Console.WriteLine("all held");
    }
}
