"""Does what a line of bindings/scenarios.json tells it to: with helio.Client, or helio.AsyncClient for the argument "asyncio"."""

import asyncio
import gc
import json
import sys
import threading
from typing import Any, Optional, Union

import helio

Told = dict[str, Any]


def outcome(error: Optional[helio.HelioError], completion: Optional[helio.Completion], **more: object) -> Told:
    told: Told = {"status": error.status_name if error else "HELIO_OK", "error": None, "shown": str(error), **more}
    told["data"] = completion.data if completion else None
    if error:
        names = ("message", "code", "type", "http_status", "retry_after_ms", "body", "report")
        told["error"] = {name: getattr(error, name) for name in names}
        told["shown"] += repr(error)
    return told


def numbered(request: Told, number: int) -> Told:
    told: Told = json.loads(json.dumps(request).replace("#N#", str(number)))
    return told


def result_of_its_tool(chat: helio.Chat, answer: helio.Completion) -> None:
    chat.add_reply(answer)
    chat.add_tool_result(answer.json()["choices"][0]["message"]["tool_calls"][0]["id"], "42")


class Threaded:
    """By helio.Client."""

    def __init__(self) -> None:
        self.open: Optional[helio.Client] = None

    def run(self, line: Told) -> Told:
        if self.open:
            self.open.close()
        self.open = None
        try:
            client = helio.Client(line["config"])
        except helio.HelioError as error:
            return outcome(error, None)
        do = line["do"]
        told = getattr(self, do)(client, line["request"], line["count"])
        if do in ("leave", "drop"):
            self.open = client
        else:
            client.close()
        told["shown"] += repr(client)
        return {"texts": [], **told}

    def create(self, client: helio.Client, request: Told, count: int) -> Told:
        return outcome(None, None)

    def complete(self, client: helio.Client, request: Told, count: int) -> Told:
        try:
            return outcome(None, client.complete(request))
        except helio.HelioError as error:
            return outcome(error, error.completion)

    def stream(self, client: helio.Client, request: Told, count: int, at_first: Any = None, **more: Any) -> Told:
        texts: list[str] = []
        try:
            with client.stream(request, **more) as stream:
                for chunk in stream:
                    if chunk.text:
                        texts.append(chunk.text)
                        if at_first and len(texts) == 1:
                            threading.Thread(target=at_first, args=(client, stream)).start()
            return outcome(None, stream.completion, texts=texts)
        except helio.HelioError as error:
            return outcome(error, error.completion, texts=texts)

    def cancel_before(self, client: helio.Client, request: Told, count: int) -> Told:
        cancellation = helio.Cancellation()
        cancellation.cancel()
        return self.stream(client, request, count, cancellation=cancellation)

    def cancel_during(self, client: helio.Client, request: Told, count: int) -> Told:
        return self.stream(client, request, count, lambda _, stream: stream.cancel())

    def cancel_after(self, client: helio.Client, request: Told, count: int) -> Told:
        cancellation = helio.Cancellation()
        told = self.stream(client, request, count, cancellation=cancellation)
        cancellation.cancel()
        return told

    def many(self, client: helio.Client, request: Told, count: int) -> Told:
        streams = [client.stream(numbered(request, number)) for number in range(count)]
        right = [stream.wait().text == f"You said: {number}" for number, stream in enumerate(streams)]
        return outcome(None, None, right=sum(right))

    def leave(self, client: helio.Client, request: Told, count: int) -> Told:
        for chunk in client.stream(request):
            if chunk.text:
                break
        return outcome(None, None, status="LEFT", texts=[chunk.text])

    def drop(self, client: helio.Client, request: Told, count: int) -> Told:
        stream = client.stream(request)
        text = next(chunk.text for chunk in stream if chunk.text)
        del stream
        gc.collect()
        return outcome(None, None, status="LEFT", texts=[text])

    def close(self, client: helio.Client, request: Told, count: int) -> Told:
        return self.stream(client, request, count, lambda client, _: client.close())

    def tools(self, client: helio.Client, request: Told, count: int) -> Told:
        chat = helio.Chat()
        chat.add_json(request.pop("messages"))
        result_of_its_tool(chat, client.complete(chat.request(request)))
        return self.complete(client, json.loads(chat.request(request)), count)


class Asyncio:
    """The same by helio.AsyncClient, in one loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.open: Optional[helio.AsyncClient] = None

    def run(self, line: Told) -> Told:
        return self.loop.run_until_complete(self.told(line))

    async def told(self, line: Told) -> Told:
        if self.open:
            await self.open.aclose()
        self.open = None
        try:
            client = helio.AsyncClient(line["config"])
        except helio.HelioError as error:
            return outcome(error, None)
        do = line["do"]
        told: Told = await getattr(self, do)(client, line["request"], line["count"])
        if do in ("leave", "drop"):
            self.open = client
        else:
            await client.aclose()
        told["shown"] += repr(client)
        return {"texts": [], **told}

    async def create(self, client: helio.AsyncClient, request: Told, count: int) -> Told:
        return outcome(None, None)

    async def complete(self, client: helio.AsyncClient, request: Union[Told, str], count: int) -> Told:
        try:
            return outcome(None, await client.complete(request))
        except helio.HelioError as error:
            return outcome(error, error.completion)

    async def stream(
        self, client: helio.AsyncClient, request: Told, count: int, at_first: Any = None, **more: Any
    ) -> Told:
        texts: list[str] = []
        other: Any = None
        try:
            async with client.stream(request, **more) as stream:
                async for chunk in stream:
                    if chunk.text:
                        texts.append(chunk.text)
                        if at_first and len(texts) == 1:
                            other = asyncio.ensure_future(at_first(client, stream))
            return outcome(None, stream.completion, texts=texts)
        except helio.HelioError as error:
            return outcome(error, error.completion, texts=texts)
        finally:
            if other:
                await other

    async def cancel_before(self, client: helio.AsyncClient, request: Told, count: int) -> Told:
        cancellation = helio.Cancellation()
        cancellation.cancel()
        return await self.stream(client, request, count, cancellation=cancellation)

    async def cancel_during(self, client: helio.AsyncClient, request: Told, count: int) -> Told:
        async def cancel(_: helio.AsyncClient, stream: helio.AsyncStream) -> None:
            await asyncio.to_thread(stream.cancel)

        return await self.stream(client, request, count, cancel)

    async def cancel_after(self, client: helio.AsyncClient, request: Told, count: int) -> Told:
        cancellation = helio.Cancellation()
        told = await self.stream(client, request, count, cancellation=cancellation)
        cancellation.cancel()
        return told

    async def many(self, client: helio.AsyncClient, request: Told, count: int) -> Told:
        answers = await asyncio.gather(*(client.complete(numbered(request, number)) for number in range(count)))
        right = [answer.text == f"You said: {number}" for number, answer in enumerate(answers)]
        return outcome(None, None, right=sum(right))

    async def leave(self, client: helio.AsyncClient, request: Told, count: int) -> Told:
        async for chunk in client.stream(request):
            if chunk.text:
                break
        return outcome(None, None, status="LEFT", texts=[chunk.text])

    async def drop(self, client: helio.AsyncClient, request: Told, count: int) -> Told:
        stream = client.stream(request)
        while not (text := (await stream.__anext__()).text):
            pass
        del stream
        gc.collect()
        return outcome(None, None, status="LEFT", texts=[text])

    async def close(self, client: helio.AsyncClient, request: Told, count: int) -> Told:
        return await self.stream(client, request, count, lambda client, _: client.aclose())

    async def tools(self, client: helio.AsyncClient, request: Told, count: int) -> Told:
        chat = helio.Chat()
        chat.add_json(request.pop("messages"))
        result_of_its_tool(chat, await client.complete(chat.request(request)))
        return await self.complete(client, chat.request(request), count)


def main() -> None:
    runner: Union[Threaded, Asyncio] = Asyncio() if "asyncio" in sys.argv[1:] else Threaded()
    for line in sys.stdin:
        print(json.dumps(runner.run(json.loads(line))), flush=True)


main()
