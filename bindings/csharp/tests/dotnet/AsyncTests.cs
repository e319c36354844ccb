using System;
using System.Net;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Helio;
using Xunit;

/// <summary>The async form, against a server of the test's own.</summary>
public sealed class AsyncTests : IDisposable
{
    private const string Ask = """{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}""";

    private readonly HttpListener listener = new();
    private readonly string config;
    private readonly TaskCompletionSource go = new();

    public AsyncTests()
    {
        var port = Random.Shared.Next(20000, 30000);
        listener.Prefixes.Add($"http://127.0.0.1:{port}/");
        listener.Start();
        config = $$"""{"base_url":"http://127.0.0.1:{{port}}/v1","api_key":"k"}""";
        _ = Serve();
    }

    public void Dispose() => listener.Close();

    /// <summary>Streams a word, and the end once "go" is set.</summary>
    private async Task Serve()
    {
        while (listener.IsListening)
        {
            var context = await listener.GetContextAsync();
            _ = Task.Run(async () =>
            {
                context.Response.ContentType = "text/event-stream";
                context.Response.SendChunked = true;
                await Say(context, """{"choices":[{"index":0,"delta":{"content":"word"}}]}""");
                await go.Task;
                await Say(context, """{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""");
                await Say(context, "[DONE]");
                context.Response.Close();
            });
        }
    }

    private static async Task Say(HttpListenerContext context, string data)
    {
        await context.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes($"data: {data}\n\n"));
        await context.Response.OutputStream.FlushAsync();
    }

    [Fact]
    public async Task ChunksComeByAwaitForeach()
    {
        using var client = new Client(config);
        var text = "";
        await foreach (var chunk in client.StreamAsync(Ask))
        {
            text += chunk.Text;
            go.TrySetResult();
        }
        Assert.Equal("word", text);
        Assert.Equal("word", (await client.CompleteAsync(Ask)).Text);
    }

    [Fact]
    public async Task ATokenCancels()
    {
        using var client = new Client(config);
        using var cancellation = new CancellationTokenSource(100);
        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.CompleteAsync(Ask, token: cancellation.Token));
        Assert.Equal("word", Assert.IsType<HelioException>(error.InnerException).Completion.Text);
    }

    [Fact]
    public async Task DisposingEndsWhatIsAwaited()
    {
        var client = new Client(config);
        var waiting = client.CompleteAsync(Ask);
        await Task.Delay(100);
        client.Dispose();
        Assert.Equal(Status.ShutDown, (await Assert.ThrowsAsync<HelioException>(() => waiting)).Status);
    }
}
