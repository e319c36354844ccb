"""openai for Python, as its users would: `OpenAI` for one request after the other, `AsyncOpenAI` for many streams. The command line
and the results are those of the clients in C (`bench.h`, `paced.h`)."""

import asyncio
import gc
import math
import os
import resource
import sys
import time

import openai

EXTRA_CHUNKS = 3
KEY = "bench-key-0123456789abcdef0123456789abcdef"


def process_status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name))


def percentiles(values):
    values.sort()
    return values[(len(values) - 1) // 2], values[math.ceil(len(values) * 0.99) - 1]


def request(mode, chunks):
    messages = [
        {"role": "system", "content": "You are a careful assistant. Answer in plain words, in at most three short paragraphs, and say so when you do not know."},
        {"role": "user", "content": "Describe the sea at dawn.\nMention the light, the birds and the cold, and end with a question."},
    ]
    asked = {"model": "bench-model", "messages": messages, "temperature": 0.7, "max_tokens": chunks or 256}
    if mode != "requests":
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    if mode == "plain":
        asked["stream_options"]["include_obfuscation"] = False
    return asked


def one_by_one(base_url, mode, count, warm_up, chunks):
    client = openai.OpenAI(base_url=base_url, api_key=KEY, max_retries=0)
    asked = request(mode, chunks)
    walls = []
    for number in range(warm_up + count):
        if number == warm_up:
            cpu = time.process_time_ns()
        began = time.perf_counter_ns()
        answer = client.chat.completions.create(**asked)
        if mode == "requests":
            assert answer.choices[0].message.content
        else:
            came = text = 0
            for chunk in answer:
                came += 1
                for choice in chunk.choices:
                    text += len(choice.delta.content or "")
            assert came == chunks + EXTRA_CHUNKS and text, f"{came} chunks, {text} characters"
        if number >= warm_up:
            walls.append((time.perf_counter_ns() - began) / 1e3)
    cpu = time.process_time_ns() - cpu
    operations = count if mode == "requests" else count * (chunks + EXTRA_CHUNKS)
    p50, p99 = percentiles(walls)
    print(f"client=openai_python {mode=!s} {count=} ops={operations} cpu_ns_per_op={cpu / operations:.1f} wall_p50_us={p50:.1f} wall_p99_us={p99:.1f} cut=0")


async def paced(base_url, count, chunks):
    client = openai.AsyncOpenAI(base_url=base_url, api_key=KEY, max_retries=0)
    late_us, opened, seen, done = [], 0, 0, 0

    async def stream(what):
        nonlocal opened, seen, done
        messages = [{"role": "user", "content": "Hi"}]
        answer = await client.chat.completions.create(model="bench-model", messages=messages, stream=True, user=what)
        opened += 1
        async for chunk in answer:
            text = chunk.choices[0].delta.content if chunk.choices else None
            if text:
                late_us.append((time.monotonic_ns() - int(text.strip()[1:])) / 1e3)
                seen += 1
        done += 1

    await stream("first")
    late_us.clear()
    opened = seen = done = 0
    base_kib, began = process_status("VmRSS"), time.monotonic()
    tasks = [asyncio.create_task(stream("paced")) for _ in range(count)]
    open_ms = middle_kib = threads = 0
    while done < count and not any(task.done() and task.exception() for task in tasks):
        await asyncio.sleep(0.02)
        threads = max(threads, process_status("Threads"))
        if not open_ms and opened == count:
            open_ms, cpu = (time.monotonic() - began) * 1e3, time.process_time_ns()
        if open_ms and not middle_kib and seen > count * chunks / 2:
            middle_kib = process_status("VmRSS")
        assert time.monotonic() - began < 180, "not within 180 s"
    await asyncio.gather(*tasks)
    assert seen == count * chunks, f"{seen} chunks of {count * chunks}"
    cpu = (time.process_time_ns() - cpu) / 1e3 / seen
    p50, p99 = percentiles(late_us)
    print(
        f"client=openai_python mode=paced tls=0 streams={count} chunks={seen} p50_us={p50:.1f} p99_us={p99:.1f} cpu_us_per_chunk={cpu:.3f} "
        f"kib_per_stream={(middle_kib - base_kib) / count:.2f} {threads=} {open_ms=:.0f}"
    )


def main():
    if sys.argv[1:] == ["--version"]:
        return print(f"openai {openai.__version__} on Python {sys.version.split()[0]}")
    port, mode, *numbers = sys.argv[1:]
    count, warm_up, *chunks = map(int, numbers)
    base_url = f"http://127.0.0.1:{port}/v1"
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {1})
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    gc.collect()
    if mode == "paced":
        asyncio.run(paced(base_url, count, *chunks))
    else:
        one_by_one(base_url, mode, count, warm_up, chunks[0] if chunks else 0)


main()
