#!/usr/bin/env python3
"""page.py RESULTS FOLDER: writes FOLDER/performance.md and FOLDER/images/bench-*.svg from what run.py has measured. Needs matplotlib."""

import json
import pathlib
import statistics
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

NAMES = {
    "floor": "floor (send, recv)",
    "curl_easy": "libcurl easy",
    "curl_poll": "libcurl multi, poll",
    "curl_socket": "libcurl multi, socket",
    "helio_complete": "**helio_complete**",
    "helio_thread": "**helio THREAD**",
    "helio_poll": "**helio POLL**",
    "helio_pull": "**helio PULL**",
    "async_openai": "async-openai",
    "openai_python": "openai (Python)",
    "openai_npm": "openai (npm)",
}
COLOURS = {
    "floor": "#9e9e9e", "curl_easy": "#64b5f6", "curl_poll": "#90caf9", "curl_socket": "#1976d2", "helio_complete": "#ef6c00", "helio_thread": "#fb8c00",
    "helio_poll": "#e65100", "helio_pull": "#ffb74d", "async_openai": "#7b1fa2", "openai_python": "#388e3c", "openai_npm": "#c62828",
}
DOES = {
    "floor": "one `send` of bytes laid out beforehand, `recv` until the known length or the last bytes are there. Nothing is parsed",
    "curl_easy": "builds the request, parses the head, takes HTTP chunks apart. No event is recognised, no JSON parsed, nothing kept of a stream. "
    "No retries, no deadline for idle streams, no check that an answer is whole",
    "curl_poll": "the same in a loop of one's own: `curl_multi_poll`, `curl_multi_perform`, which look at all transfers each time",
    "curl_socket": "the same by `curl_multi_socket_action` and epoll. With paced streams it also looks for one string in the bytes",
    "async_openai": "typed requests and chunks: parses all of each chunk into structs. Drops members that it does not know; does not assemble",
    "openai_python": "typed, with pydantic; assembles only in a helper of its own that is not used here",
    "openai_npm": "objects from `JSON.parse`; assembles only in a helper of its own that is not used here",
    "helio_complete": "checks the request's JSON, parses head, HTTP chunks, events and as much of each chunk as it needs, shows each to a callback "
    "with its text, assembles the whole `chat.completion`, checks that it is complete, keeps deadlines and a report",
    "helio_thread": "the same, shown on a thread of the library",
    "helio_poll": "the same, shown inside `helio_poll`: what it says is copied to wait there",
    "helio_pull": "the same, as events that the host takes and gives back",
}
COUNTS = (1, 10, 100, 1000, 10000)


class Results:
    def __init__(self, path):
        found = json.loads(path.read_text())
        self.facts, self.rows = found["facts"], found["rows"]

    def all(self, part, **wanted):
        return [row for row in self.rows if row["part"] == part and all(row.get(name) == value for name, value in wanted.items())]

    def values(self, part, figure, **wanted):
        return [row[figure] for row in self.all(part, **wanted) if figure in row]

    def median(self, part, figure, **wanted):
        found = self.values(part, figure, **wanted)
        return statistics.median(found) if found else None

    def ratio(self, part, figure, one, other, less=None, **wanted):
        """The median of the ratios within each round: what disturbs the machine disturbs neighbours alike. `less`: a client whose figure is taken off both."""
        floor = {row["round"]: row[figure] for row in self.all(part, client=less, **wanted)} if less else {}
        by_round = lambda client: {row["round"]: row[figure] - floor.get(row["round"], 0) for row in self.all(part, client=client, **wanted)}
        ones, others = by_round(one), by_round(other)
        found = [ones[number] / others[number] for number in ones if others.get(number, 0) > 0]
        return statistics.median(found) if found else None

    def clients(self, part, **wanted):
        there = {row["client"] for row in self.all(part, **wanted)}
        return [client for client in NAMES if client in there]


def number(value, digits=1, scale=1):
    return "–" if value is None else f"{value / scale:,.{digits}f}".replace("-0.00", "0.00")


def spread(found, scale, digits):
    """The median, and between which values it lies."""
    if not found:
        return "–"
    if len(found) == 1:
        return number(found[0], digits, scale)
    return f"{number(statistics.median(found), digits, scale)} [{number(min(found), digits, scale)}..{number(max(found), digits, scale)}]"


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


# ---- plots ----------------------------------------------------------------------------------------------------------


def save(figure, folder, name):
    figure.tight_layout()
    figure.savefig(folder / f"bench-{name}.svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)


def plain_name(client):
    return NAMES[client].strip("*")


def bars(results, folder, name, title, part, figure, scale, unit, **wanted):
    clients = results.clients(part, **wanted)[::-1]
    values = [results.median(part, figure, client=client, **wanted) / scale for client in clients]
    picture, axes = plt.subplots(figsize=(7.5, 0.36 * len(clients) + 1.1))
    drawn = axes.barh([plain_name(client) for client in clients], values, color=[COLOURS[client] for client in clients])
    axes.bar_label(drawn, [f"{value:,.1f}" if value < 100 else f"{value:,.0f}" for value in values], padding=3, fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(right=max(values) * 4)
    axes.set_xlabel(unit)
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    save(picture, folder, name)


def curves(folder, name, title, unit, series, budget=None):
    """`series`: (client, dashed, [(count, value), …])."""
    picture, axes = plt.subplots(figsize=(7.5, 3.6))
    for client, dashed, points in series:
        points = [(count, value) for count, value in points if value is not None and value > 0]
        if points:
            label = plain_name(client) + (", TLS" if dashed else "")
            axes.plot(*zip(*points), marker="o", markersize=3, linestyle="--" if dashed else "-", color=COLOURS[client], label=label)
    for level, label in budget or []:
        axes.axhline(level, color="#888888", linewidth=0.8, linestyle=":")
        axes.annotate(label, (1, level), fontsize=7, va="bottom")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("at once")
    axes.set_ylabel(unit)
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=7)
    axes.grid(True, which="major", linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    save(picture, folder, name)


def plots(results, folder):
    folder.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update({"svg.hashsalt": "helio", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9})
    bars(results, folder, "request", "Processor time of one warm request", "answers", "cpu_ns_per_op", 1000, "µs, log scale", mode="requests")
    bars(results, folder, "chunk", "Processor time of one chunk of an unpaced stream", "answers", "cpu_ns_per_op", 1, "ns, log scale", mode="stream")
    shown = [("helio_poll", 0), ("curl_socket", 0), ("async_openai", 0), ("helio_poll", 1), ("curl_socket", 1), ("async_openai", 1)]

    def of_streams(figure, chosen):
        return [
            (client, tls, [(count, results.median("paced", figure, client=client, tls=tls, streams=count)) for count in COUNTS])
            for client, tls in chosen
        ]

    budget = [(8, "8 KiB"), (16, "16 KiB")]
    curves(folder, "memory", "Memory of one more stream", "KiB per stream", of_streams("kib_per_stream", shown), budget)
    curves(folder, "cpu", "Processor time of a chunk of paced streams", "µs per chunk", of_streams("cpu_us_per_chunk", shown))
    everybody = [(client, 0) for client in NAMES]
    curves(folder, "latency", "From the server's send to the host's code, median", "µs", of_streams("p50_us", everybody))
    together = [
        (client, 0, [(count, results.median("together", "cpu_us_per_request", client=client, requests=count)) for count in COUNTS])
        for client in ("helio_poll", "curl_socket", "async_openai")
    ]
    curves(folder, "requests", "Processor time of a request among others at once", "µs per request", together)
    sizes = sorted(results.all("size"), key=lambda row: row["bytes"])[-16:]
    picture, axes = plt.subplots(figsize=(7.5, 4))
    drawn = axes.barh([row["what"] for row in sizes], [row["bytes"] / 1000 for row in sizes], color=["#e65100" if row["what"] == "helio" else "#90a4ae" for row in sizes])
    axes.bar_label(drawn, [f"{row['bytes'] / 1000:,.0f}" for row in sizes], padding=3, fontsize=8)
    axes.set_xlabel("KB in the shared object")
    axes.set_title("What the shared object is made of", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    save(picture, folder, "size")


# ---- the page -------------------------------------------------------------------------------------------------------


def targets(results):
    def least(mode):
        return results.ratio("answers", "cpu_ns_per_op", "helio_complete", "curl_easy", mode=mode)

    def heap(client):
        return max(calls for mode in ("stream", "plain", "alone") for calls in results.values("counts", "heap_calls", client=client, mode=mode))

    chunk, to_async = least("stream"), results.ratio("answers", "cpu_ns_per_op", "helio_complete", "async_openai", mode="stream")
    most = int(max(row["streams"] for row in results.all("paced")))
    memory = [results.median("paced", "kib_per_stream", client="helio_poll", tls=tls, streams=most) for tls in (0, 1)]
    dlopen = results.ratio("cold", "wall_us", "helio", "curl", mode="cold")
    rows = [
        ("a warm request on the caller's thread, to libcurl easy", "≤ 0.9 ×", least("requests"), 0.9, "{:.2f} ×"),
        ("a chunk, shown, its text taken out and assembled, to libcurl's raw bytes", "≤ 4 ×", chunk, 4, "{:.2f} ×"),
        ("the same where only the text changes", "≤ 4 ×", least("plain"), 4, "{:.2f} ×"),
        ("the same chunk, to async-openai", "≤ 0.125 ×", to_async, 0.125, "{:.3f} ×"),
        *[(f"allocations per chunk, {NAMES[client].strip('*')}", "0", heap(client), 0.01, "{:.4f}") for client in NAMES if "helio" in client],
        (f"memory of a stream among {most:,}, plain", "≤ 8 KiB", memory[0], 8, "{:.2f} KiB"),
        (f"memory of a stream among {most:,}, TLS", "≤ 16 KiB", memory[1], 16, "{:.2f} KiB"),
        ("dlopen to the first answer, to libcurl", "≤ 1.5 ×", dlopen, 1.5, "{:.2f} ×"),
        ("the shared object, stripped", "< 3 MB", results.facts["size_bytes"] / 1e6, 3, "{:.2f} MB"),
    ]
    return [(what, wanted, form.format(max(value, 0)), "yes" if value <= limit else "**no**") for what, wanted, value, limit, form in rows if value is not None]


def answers_table(results, mode):
    unit, scale, digits = ("µs", 1000, 1) if mode == "requests" else ("ns", 1, 0)
    heaps = {mode: "heap calls"} | ({"alone": "alone"} if mode == "stream" else {})
    rows = []
    for client in results.clients("answers", mode=mode):
        row = [NAMES[client], spread(results.values("answers", "cpu_ns_per_op", client=client, mode=mode), scale, digits)]
        row.append(number(results.ratio("answers", "cpu_ns_per_op", client, "curl_easy", mode=mode), 2))
        walls = [results.median("answers", figure, client=client, mode=mode) for figure in ("wall_p50_us", "wall_p99_us")]
        if mode == "requests":
            row += [number(results.ratio("answers", "cpu_ns_per_op", client, "curl_easy", less="floor", mode=mode), 2)]
            row += [number(wall, 0) for wall in walls]
        row += [number(results.median("counts", "heap_calls", client=client, mode=counted), 2) for counted in heaps]
        row += [number(results.median("counts", "instructions", client=client, mode=mode), 0)]
        rows.append(row)
    walls = ["less the floor", "p50 µs", "p99 µs"] if mode == "requests" else []
    return table(["", f"CPU {unit}", "× libcurl easy", *walls, *heaps.values(), "instructions"], rows)


def shares_table(results):
    modes = ("requests", "stream", "plain")
    shares = {mode: (results.values("counts", "shares", client="helio_complete", mode=mode) or [{}])[0] for mode in modes}
    names = sorted(shares["stream"], key=lambda name: -shares["stream"][name])
    names = [name for name in names if any(shares[mode].get(name, 0) >= 50 for mode in modes)]
    rows = []
    for name in names:
        row = [name]
        for mode in modes:
            total = sum(shares[mode].values()) or 1
            row.append(f"{number(shares[mode].get(name, 0), 0)} ({shares[mode].get(name, 0) / total:.0%})")
        rows.append(row)
    return table(["instructions of helio_complete in", "a request", "a chunk", "a plain chunk"], rows)


def latency_table(results):
    counts = [count for count in (1, 100, 1000) if results.all("paced", streams=count)] or sorted({row["streams"] for row in results.all("paced")})
    rows = []
    for client in results.clients("paced", tls=0):
        row = [NAMES[client]]
        for count in counts:
            p50, p99 = (results.median("paced", figure, client=client, tls=0, streams=count) for figure in ("p50_us", "p99_us"))
            row.append("–" if p50 is None else f"{number(p50, 0)} / {number(p99, 0)}")
        rows.append(row)
    return table(["p50 / p99 µs", *("1 stream" if count == 1 else f"{int(count):,} streams" for count in counts)], rows)


def scale_table(results, tls):
    rows = []
    counts = sorted({row["streams"] for row in results.all("paced")})
    for client in results.clients("paced", tls=tls):
        row = [NAMES[client]]
        for count in counts:
            figures = [results.median("paced", figure, client=client, tls=tls, streams=count) for figure in ("kib_per_stream", "threads", "cpu_us_per_chunk")]
            row.append("–" if figures[0] is None else f"{number(figures[0], 1)} / {number(figures[1], 0)} / {number(figures[2], 1)}")
        rows.append(row)
    return table(["KiB / threads / µs", *(f"{int(count):,}" for count in counts)], rows)


def together_table(results):
    rows = []
    counts = sorted({row["requests"] for row in results.all("together")})
    for client in results.clients("together"):
        row = [NAMES[client]]
        for count in counts:
            figures = [results.median("together", figure, client=client, requests=count) for figure in ("cpu_us_per_request", "kib_per_request", "threads", "wall_ms")]
            row.append("–" if figures[0] is None else f"{number(figures[0], 0)} / {number(figures[1], 1)} / {number(figures[2], 0)} / {number(figures[3], 1, 1000)}")
        rows.append(row)
    return table(["µs / KiB / threads / s", *(f"{int(count):,}" for count in counts)], rows)


def cold_table(results):
    rows = [
        [name, spread(results.values("cold", "wall_us", client=client, mode="cold"), 1000, 2), spread(results.values("cold", "cpu_us", client=client, mode="cold"), 1000, 2)]
        for client, name in (("helio", "**helio**"), ("curl", "libcurl"))
    ]
    first = table(["dlopen to the first answer", "ms", "CPU ms"], rows)
    rows = [[NAMES[client], spread(results.values("cold", "wall_us", client=client, mode="process"), 1000, 1)] for client in results.clients("cold", mode="process")]
    return first + "\n\n" + table(["start of a process to its end, with one answer", "ms"], rows)


def cancel_table(results):
    phases = list(dict.fromkeys(row["phase"] for row in results.all("cancel")))
    rows = []
    for delivery in ("thread", "poll", "pull"):
        row = [delivery.upper()]
        for phase in phases:
            p50, p99 = (results.median("cancel", figure, delivery=delivery, phase=phase) for figure in ("p50_us", "p99_us"))
            row.append(f"{number(p50, 0)} / {number(p99, 0)}")
        rows.append(row)
    return table(["p50 / p99 µs", *phases], rows)


def size_table(results):
    rows = sorted(results.all("size"), key=lambda row: -row["bytes"])
    listed = [row for row in rows if row["bytes"] >= 10_000]
    rest = sum(row["bytes"] for row in rows if row["bytes"] < 10_000)
    return table(["", "KB", "what"], [[f"`{row['what']}`", number(row["bytes"], 0, 1000), row["kind"]] for row in listed] + [["all others", number(rest, 0, 1000), ""]])


def page(results, notes):
    facts = results.facts
    versions = "\n".join(f"| {NAMES[client].strip('*')} | {facts['versions'][client]} | {DOES[client]} |" for client in NAMES if client in facts["versions"])
    rounds = len({row["round"] for row in results.all("answers")})
    return f"""# Performance

What helio costs beside others, on one machine, in one run. `make bench` writes this page and its plots anew (half an hour). [What was tried](../benches/README.md) stands beside the programs.

Measured on {facts['date']} at commit {facts['commit']}: {facts['cores']} cores, {facts['cpu']}, {facts['system']}; {facts['rustc']}; {facts['compiler']}. Load average {facts['load']:.1f} at the start.

Read ratios, not times. Clients are measured in turn (A B C, A B C, …) against the same server, which has one core while the client has the other; a ratio is taken within each round, and its median is shown. Figures are medians, `[least..most]`
over {rounds} rounds. CPU is that of the client's process, all threads, user and system.

## Targets

{table(["", "wanted", "measured", "met"], [list(row) for row in targets(results)])}

## Who is compared, and what each does

| | version | does |
| --- | --- | --- |
{versions}

## A warm request

One connection, an answer of 1.2 KB, in turn.

![](images/bench-request.svg)

{answers_table(results, "requests")}

{notes.get("request", "")}

## A chunk of an unpaced stream

Events of about 300 bytes as OpenAI sends them, with `obfuscation`, each in an HTTP chunk of its own, as fast as they are taken.

![](images/bench-chunk.svg)

{answers_table(results, "stream")}

Where only the text changes from chunk to chunk, as most other servers send it:

{answers_table(results, "plain")}

{notes.get("chunk", "")}

## Whose instructions they are

{shares_table(results)}

{notes.get("shares", "")}

## How soon a chunk is there

Paced streams: 1 of 50 chunks a second, 100 of 20, 1,000 of 10. From the server's `send` to the first line of the host's code.

![](images/bench-latency.svg)

{latency_table(results)}

{notes.get("latency", "")}

## Memory, threads and processor time, from 1 to 10,000 streams

Resident memory of one more stream, less the text that it carries; the most threads of the process; processor time of a chunk. Sockets' buffers in the kernel are not in it.

![](images/bench-memory.svg)

![](images/bench-cpu.svg)

Plain:

{scale_table(results, 0)}

TLS 1.3:

{scale_table(results, 1)}

{notes.get("scale", "")}

## Requests at once, from 1 to 10,000

Answers in JSON, each given after a second, all asked for at once with the defaults: processor time and memory of a request, threads, and when the last answer is there.

![](images/bench-requests.svg)

{together_table(results)}

{notes.get("together", "")}

## Cold start

{cold_table(results)}

## Cancelling

From `helio_cancel` to DONE in the host's hands, by what the request was waiting for.

{cancel_table(results)}

{facts.get("frame", "")}

## Size

The shared object has {facts['size_bytes']:,} bytes when it is stripped. Code by the crate whose function it is (a generic function counts for the crate that wrote it), and the sections that are not code:

![](images/bench-size.svg)

{size_table(results)}
"""


def main():
    results, folder = Results(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2])
    plots(results, folder / "images")
    notes = {}
    name = None
    for line in (pathlib.Path(__file__).parent / "notes.md").read_text().splitlines():
        if line.startswith("## "):
            name = line[3:].strip()
            notes[name] = ""
        elif name:
            notes[name] += line + "\n"
    text = page(results, {name: text.strip() for name, text in notes.items()})
    (folder / "performance.md").write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n")
    for what, wanted, measured, met in targets(results):
        print(f"{met.strip('*'):3}  {what}: {measured} (wanted {wanted})")


main()
