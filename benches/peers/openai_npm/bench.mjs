// openai for Node.js, as its users would. The command line and the results are those of the clients in C (bench.h, paced.h).
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const EXTRA_CHUNKS = 3;
const KEY = "bench-key-0123456789abcdef0123456789abcdef";

const [port, mode, ...numbers] = process.argv.slice(2);
const [count, warmUp, chunks = 0] = numbers.map(Number);

const cpuUs = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
const status = (name) => Number(readFileSync("/proc/self/status", "utf8").match(new RegExp(`^${name}:\\s*(\\d+)`, "m"))[1]);
const percentiles = (values) => {
  values.sort((a, b) => a - b);
  return [values[(values.length - 1) >> 1], values[Math.ceil(values.length * 0.99) - 1]];
};
const sure = (holds, what) => {
  if (!holds) throw new Error(what);
};

function request() {
  const asked = {
    model: "bench-model",
    messages: [
      { role: "system", content: "You are a careful assistant. Answer in plain words, in at most three short paragraphs, and say so when you do not know." },
      { role: "user", content: "Describe the sea at dawn.\nMention the light, the birds and the cold, and end with a question." },
    ],
    temperature: 0.7,
    max_tokens: chunks || 256,
  };
  if (mode === "requests") return asked;
  const options = mode === "plain" ? { include_usage: true, include_obfuscation: false } : { include_usage: true };
  return { ...asked, stream: true, stream_options: options };
}

async function oneByOne(client) {
  const asked = request();
  const walls = [];
  let cpu = 0;
  for (let number = 0; number < warmUp + count; number++) {
    if (number === warmUp) cpu = cpuUs();
    const began = process.hrtime.bigint();
    const answer = await client.chat.completions.create(asked);
    if (mode === "requests") {
      sure(answer.choices[0].message.content, "an answer without text");
    } else {
      let came = 0, text = 0;
      for await (const chunk of answer) {
        came++;
        for (const choice of chunk.choices) text += (choice.delta.content ?? "").length;
      }
      sure(came === chunks + EXTRA_CHUNKS && text > 0, `${came} chunks, ${text} characters`);
    }
    if (number >= warmUp) walls.push(Number(process.hrtime.bigint() - began) / 1e3);
  }
  cpu = cpuUs() - cpu;
  const operations = mode === "requests" ? count : count * (chunks + EXTRA_CHUNKS);
  const [p50, p99] = percentiles(walls);
  console.log(
    `client=openai_npm mode=${mode} count=${count} ops=${operations} cpu_ns_per_op=${((cpu * 1e3) / operations).toFixed(1)} ` +
      `wall_p50_us=${p50.toFixed(1)} wall_p99_us=${p99.toFixed(1)} cut=0`,
  );
}

async function paced(client) {
  let late = [], opened = 0, seen = 0, done = 0, failure;
  const stream = async (what) => {
    const messages = [{ role: "user", content: "Hi" }];
    const answer = await client.chat.completions.create({ model: "bench-model", stream: true, user: what, messages });
    opened++;
    for await (const chunk of answer) {
      const text = chunk.choices[0]?.delta.content;
      if (!text) continue;
      late.push(Number(process.hrtime.bigint() - BigInt(text.trim().slice(1))) / 1e3);
      seen++;
    }
    done++;
  };
  await stream("first");
  late = [];
  opened = seen = done = 0;
  const base = status("VmRSS"), began = performance.now();
  for (let i = 0; i < count; i++) stream("paced").catch((error) => (failure = error));
  let open = 0, cpu = 0, middle = 0, threads = 0;
  while (done < count) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (failure) throw failure;
    threads = Math.max(threads, status("Threads"));
    if (!open && opened === count) [open, cpu] = [performance.now() - began, cpuUs()];
    if (open && !middle && seen > (count * chunks) / 2) middle = status("VmRSS");
    sure(performance.now() - began < 180_000, "not within 180 s");
  }
  sure(seen === count * chunks, `${seen} chunks of ${count * chunks}`);
  const [p50, p99] = percentiles(late);
  console.log(
    `client=openai_npm mode=paced tls=0 streams=${count} chunks=${seen} p50_us=${p50.toFixed(1)} p99_us=${p99.toFixed(1)} ` +
      `cpu_us_per_chunk=${((cpuUs() - cpu) / seen).toFixed(3)} kib_per_stream=${((middle - base) / count).toFixed(2)} threads=${threads} open_ms=${open.toFixed(0)}`,
  );
}

if (port === "--version") {
  const { version } = JSON.parse(readFileSync(new URL("node_modules/openai/package.json", import.meta.url)));
  console.log(`openai ${version} on Node.js ${process.versions.node}`);
} else {
  const client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: KEY, maxRetries: 0 });
  await (mode === "paced" ? paced(client) : oneByOne(client));
}
