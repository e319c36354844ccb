// The one thread of a client that waits in C. It posts what it was told, and null when no more will come.

import { parentPort, workerData } from "node:worker_threads";

import { c, CHUNK, FOREVER, readEvent } from "./native.js";

const event = [null];
while (c.next_event(workerData, FOREVER, event) === 0) {
  if (event[0]) {
    const told = readEvent(event[0]);
    c.event_release(event[0]);
    if (told.kind >= CHUNK) parentPort.postMessage(told);
  }
}
parentPort.postMessage(null);
