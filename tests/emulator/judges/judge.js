// What the official Node client makes of the emulator, by one of the ways to connect.
//
//     NODE_EXTRA_CA_CERTS=ca.pem NODE_PATH=node_modules node judge.js WAY PORT
//
// WAY is amqp, amqps or wss (the client has no WebSocket without TLS); PORT is the emulator's, which has to be new: its
// hubs are `judged` with four partitions and the groups `$Default`, `other` and `pair`. Ends with 0 when everything is as
// with the service, else says what is not.

"use strict";

const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const { setTimeout: sleep } = require("node:timers/promises");
const { EventHubConsumerClient, EventHubProducerClient, earliestEventPosition } = require("@azure/event-hubs");
const WebSocket = require("ws");

const [way, port, ...chosen] = process.argv.slice(2);
const KEY = "RootManageSharedAccessKey";
const PATIENCE = 60_000;

function connection(secret = "SAS_KEY_VALUE") {
  const key = `SharedAccessKeyName=${KEY};SharedAccessKey=${secret}`;
  const retryOptions = { maxRetries: 0 };
  if (way === "amqp") {
    return [`Endpoint=sb://localhost:${port};${key};UseDevelopmentEmulator=true;`, { retryOptions }];
  }
  const options = { retryOptions, customEndpointAddress: `sb://localhost:${port}` };
  if (way === "wss") options.webSocketOptions = { webSocket: WebSocket };
  // As with a private endpoint: the namespace's name is not where the client connects.
  return [`Endpoint=sb://myns.servicebus.windows.net;${key}`, options];
}

function producer(hub = "judged", secret) {
  const [string, options] = connection(secret);
  return new EventHubProducerClient(string, hub, options);
}

function consumer(group = "$Default", hub = "judged", store) {
  const [string, options] = connection();
  if (!store) return new EventHubConsumerClient(group, string, hub, options);
  const pace = { strategy: "greedy", updateIntervalInMs: 500, partitionOwnershipExpirationIntervalInMs: 5000 };
  return new EventHubConsumerClient(group, string, hub, store, { ...options, loadBalancingOptions: pace });
}

async function using(client, use) {
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

async function until(what, condition) {
  for (const deadline = Date.now() + PATIENCE; !(await condition()); ) {
    if (Date.now() > deadline) throw new Error(`${typeof what === "function" ? what() : what}: not within ${PATIENCE} ms`);
    await sleep(20);
  }
}

/** The operation fails, at once, and the error says so. */
async function fails(what, operation, part) {
  const begun = Date.now();
  await assert.rejects(operation, (error) => {
    assert.ok(`${error.message}`.includes(part), `${what}: ${part} is not in ${error.name} ${error.message}`);
    return true;
  }, `${what} does not fail`);
  assert.ok(Date.now() - begun < 20_000, `${what}: took ${Date.now() - begun} ms`);
}

/** Receives from one partition. */
class Reader {
  constructor(partition, startPosition = earliestEventPosition, { group, hub, ...options } = {}) {
    this.events = [];
    this.errors = [];
    this.client = consumer(group, hub);
    const handlers = {
      processEvents: async (events, context) => {
        this.end = context.lastEnqueuedEventProperties;
        this.events.push(...events);
      },
      processError: async (error) => void this.errors.push(error),
    };
    const batches = { startPosition, maxBatchSize: 500, maxWaitTimeInSeconds: 0.2 };
    this.subscription = this.client.subscribe(partition, handlers, { ...batches, ...options });
  }

  async until(count) {
    await until(() => `${count} events, has ${this.events.length}`, () => this.events.length >= count || this.errors.length);
    if (this.events.length < count) throw this.errors[0];
    return this.events;
  }

  async untilError() {
    await until("an error", () => this.errors.length);
    return this.errors[0].message;
  }

  async close() {
    await this.subscription.close();
    await this.client.close();
  }
}

async function read(partition, startPosition, count, options) {
  return using(new Reader(partition, startPosition, options), (reader) => reader.until(count));
}

async function hubsAreDescribed() {
  await using(producer(), async (client) => {
    assert.deepEqual(await client.getPartitionIds(), ["0", "1", "2", "3"]);
    const { name, partitionIds } = await client.getEventHubProperties();
    assert.deepEqual([name, partitionIds.length], ["judged", 4]);
    const partition = await client.getPartitionProperties("3");
    assert.deepEqual([partition.isEmpty, partition.lastEnqueuedSequenceNumber], [true, -1]);
  });
}

async function batchesArriveWholeAndInOrder() {
  const count = 1000;
  await using(producer(), async (client) => {
    let batch = await client.createBatch({ partitionId: "0" });
    for (let index = 0; index < count; index++) {
      const event = { body: { index, text: "x".repeat(500) }, properties: { index, text: "Grüße" }, messageId: `id-${index}` };
      if (!batch.tryAdd(event)) {
        await client.sendBatch(batch);
        batch = await client.createBatch({ partitionId: "0" });
        assert.ok(batch.tryAdd(event));
      }
    }
    await client.sendBatch(batch);
    await client.sendBatch([{ body: Buffer.from("bytes") }, { body: "text" }], { partitionId: "0" });
  });
  const events = await read("0", earliestEventPosition, count + 2);
  events.slice(0, count).forEach((event, index) => {
    assert.deepEqual(event.body, { index, text: "x".repeat(500) });
    assert.deepEqual(event.properties, { index, text: "Grüße" });
    assert.deepEqual([event.messageId, event.sequenceNumber], [`id-${index}`, index]);
  });
  assert.deepEqual(events.slice(count).map((event) => `${event.body}`), ["bytes", "text"]);
  const offsets = events.map((event) => Number(event.offset));
  assert.ok(offsets.every((offset, index) => index === 0 || offset > offsets[index - 1]), "offsets grow");
}

async function receiversBeginWhereTheySay() {
  await using(producer(), async (client) => {
    for (let index = 0; index < 5; index++) {
      await client.sendBatch([{ body: `position ${index}` }], { partitionId: "1" });
      // Times have to differ.
      await sleep(20);
    }
  });
  const third = (await read("1", earliestEventPosition, 5))[2];
  const table = [
    [{ offset: third.offset }, 3],
    [{ offset: third.offset, isInclusive: true }, 2],
    [{ sequenceNumber: third.sequenceNumber }, 3],
    [{ sequenceNumber: third.sequenceNumber, isInclusive: true }, 2],
    [{ enqueuedOn: third.enqueuedTimeUtc }, 3],
    [{ enqueuedOn: new Date(third.enqueuedTimeUtc.getTime() - 1) }, 2],
  ];
  for (const [position, first] of table) {
    const bodies = (await read("1", position, 5 - first)).map((event) => event.body);
    assert.deepEqual(bodies, [0, 1, 2, 3, 4].slice(first).map((index) => `position ${index}`), JSON.stringify(position));
  }
}

async function partitionKeysLeadToOnePartition() {
  const keys = Array.from({ length: 12 }, (_, index) => `key-${index}`);
  const last = {};
  await using(producer(), async (client) => {
    for (const id of "0123") last[id] = (await client.getPartitionProperties(id)).lastEnqueuedSequenceNumber;
    for (const key of keys) await client.sendBatch([{ body: key }, { body: key }], { partitionKey: key });
    for (const id of "0123") last[id] = [last[id], (await client.getPartitionProperties(id)).lastEnqueuedSequenceNumber];
  });
  const found = [];
  for (const [id, [before, after]] of Object.entries(last)) {
    if (after === before) continue;
    const events = await read(id, { sequenceNumber: before }, after - before);
    events.forEach((event) => assert.equal(event.partitionKey, event.body));
    found.push(...new Set(events.map((event) => event.body)));
  }
  assert.deepEqual(found.sort(), keys.sort());
}

async function whatIsLargeArrivesAndWhatIsTooLargeIsRefused() {
  const body = crypto.randomBytes(900_000);
  const before = await using(producer(), async (client) => {
    const { lastEnqueuedSequenceNumber } = await client.getPartitionProperties("2");
    await client.sendBatch([{ body }], { partitionId: "2" });
    const large = [{ body: Buffer.alloc(1_200_000) }];
    await fails("too large", () => client.sendBatch(large, { partitionId: "2" }), "exceeds the limit");
    await client.sendBatch([{ body: "after" }], { partitionId: "2" });
    return lastEnqueuedSequenceNumber;
  });
  const events = await read("2", { sequenceNumber: before }, 2);
  assert.ok(body.equals(events[0].body));
  assert.equal(events[1].body, "after");
}

async function theEndOfAPartitionIsToldToWhoeverAsks() {
  const extent = await using(producer(), (client) => client.getPartitionProperties("1"));
  await using(new Reader("1", earliestEventPosition, { trackLastEnqueuedEventProperties: true }), async (reader) => {
    await reader.until(5);
    const { sequenceNumber, offset, enqueuedOn } = reader.end;
    assert.deepEqual([sequenceNumber, offset], [extent.lastEnqueuedSequenceNumber, extent.lastEnqueuedOffset]);
    assert.deepEqual(enqueuedOn, extent.lastEnqueuedOnUtc);
  });
}

async function higherEpochsTakePartitions() {
  await using(producer(), (client) => client.sendBatch([{ body: "epoch" }], { partitionId: "3" }));
  const first = new Reader("3", earliestEventPosition, { ownerLevel: 1 });
  await first.until(1);
  const second = new Reader("3", earliestEventPosition, { ownerLevel: 5 });
  await second.until(1);
  assert.match(await first.untilError(), /higher epoch of '5' is created/);
  const lower = new Reader("3", earliestEventPosition, { ownerLevel: 2 });
  assert.match(await lower.untilError(), /with a higher epoch '5' already exists/);
  const without = new Reader("3");
  assert.match(await without.untilError(), /non-epoch receiver is not allowed/);
  await read("3", earliestEventPosition, 1, { group: "other" });
  assert.deepEqual(second.errors, [], "the holder goes on");
  for (const reader of [first, second, lower, without]) await reader.close();
}

async function whatDoesNotExistOrIsNotAllowedIsSaidAtOnce() {
  const event = [{ body: "x" }];
  await using(producer("judged", "WRONG"), async (client) => {
    await fails("wrong key", () => client.getEventHubProperties(), "InvalidSignature");
    await fails("wrong key to send", () => client.sendBatch(event), "InvalidSignature");
  });
  await using(producer("missing"), async (client) => {
    await fails("no hub", () => client.getEventHubProperties(), "could not be found");
    await fails("no hub to send to", () => client.sendBatch(event), "could not be found");
  });
  await using(producer(), async (client) => {
    await fails("no partition", () => client.sendBatch(event, { partitionId: "9" }), "specified partition is invalid");
    await fails("no partition to describe", () => client.getPartitionProperties("9"), "specified partition is invalid");
  });
  for (const [options, partition, part] of [
    [{ hub: "missing" }, "0", /could not be found/],
    [{ group: "missing" }, "0", /could not be found/],
    [{}, "9", /specified partition is invalid/],
  ]) {
    await using(new Reader(partition, earliestEventPosition, options), async (reader) => {
      assert.match(await reader.untilError(), part);
    });
  }
}

/** Checkpoints and ownership, shared by processors of this process. */
class Store {
  #ownership = new Map();
  #checkpoints = new Map();

  async listOwnership() {
    return [...this.#ownership.values()];
  }

  async claimOwnership(claims) {
    return claims.flatMap((claim) => {
      const held = this.#ownership.get(claim.partitionId);
      if (held && held.etag !== claim.etag) return [];
      const taken = { ...claim, etag: crypto.randomUUID(), lastModifiedTimeInMs: Date.now() };
      this.#ownership.set(claim.partitionId, taken);
      return [taken];
    });
  }

  async listCheckpoints() {
    return [...this.#checkpoints.values()];
  }

  async updateCheckpoint(checkpoint) {
    this.#checkpoints.set(checkpoint.partitionId, checkpoint);
  }
}

/** One member of a pair that shares partitions. */
class Processor {
  constructor(store, seen) {
    this.partitions = new Set();
    this.client = consumer("pair", "judged", store);
    const handlers = {
      processInitialize: async ({ partitionId }) => void this.partitions.add(partitionId),
      processClose: async (_, { partitionId }) => void this.partitions.delete(partitionId),
      processEvents: async (events, context) => {
        events.forEach((event) => seen.add(`${context.partitionId}/${event.sequenceNumber}`));
        if (events.length) await context.updateCheckpoint(events[events.length - 1]);
      },
      // What is taken from one member is an error to it.
      processError: async () => {},
    };
    this.subscription = this.client.subscribe(handlers, { startPosition: earliestEventPosition, maxWaitTimeInSeconds: 0.2 });
  }

  async close() {
    await this.subscription.close();
    await this.client.close();
  }
}

async function twoProcessorsSharePartitionsAndHandThemOver() {
  const [store, seen] = [new Store(), new Set()];
  let isFeeding = true;
  const feeding = using(producer(), async (client) => {
    for (; isFeeding; await sleep(50)) {
      for (const partitionId of "0123") await client.sendBatch([{ body: "x" }, { body: "y" }], { partitionId });
    }
  });
  const first = new Processor(store, seen);
  await until("the first has all partitions", () => first.partitions.size === 4);
  const second = new Processor(store, seen);
  await until("each has two partitions", () => first.partitions.size === 2 && second.partitions.size === 2);
  await first.close();
  await until("the second has all partitions", () => second.partitions.size === 4);
  isFeeding = false;
  await feeding;
  const expected = await using(producer(), async (client) => {
    const extents = await Promise.all([..."0123"].map((id) => client.getPartitionProperties(id)));
    return extents.flatMap((extent) => {
      const count = extent.lastEnqueuedSequenceNumber - extent.beginningSequenceNumber + 1;
      return Array.from({ length: count }, (_, index) => `${extent.partitionId}/${extent.beginningSequenceNumber + index}`);
    });
  });
  const missing = () => expected.filter((event) => !seen.has(event));
  await until(() => `of ${expected.length} events are missing ${missing().slice(0, 20)}`, () => missing().length === 0);
  await second.close();
}

const SCENARIOS = [
  hubsAreDescribed,
  batchesArriveWholeAndInOrder,
  receiversBeginWhereTheySay,
  partitionKeysLeadToOnePartition,
  whatIsLargeArrivesAndWhatIsTooLargeIsRefused,
  theEndOfAPartitionIsToldToWhoeverAsks,
  higherEpochsTakePartitions,
  whatDoesNotExistOrIsNotAllowedIsSaidAtOnce,
  twoProcessorsSharePartitionsAndHandThemOver,
];

async function main() {
  let failed = 0;
  for (const scenario of SCENARIOS.filter(({ name }) => !chosen.length || chosen.includes(name))) {
    const begun = Date.now();
    try {
      await scenario();
      console.log(`ok      ${scenario.name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${scenario.name}`);
      console.error(error);
    }
  }
  // Timers of clients that are stuck do not hold up the end.
  process.exit(failed ? 1 : 0);
}

main();
