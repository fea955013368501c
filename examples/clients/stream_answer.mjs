// A chat front end that streams a model's answer: each chunk goes to Weir, and the reader sees
// what Weir has let go, as it lets it go.
//
// Needs kafkajs, and its LZ4 codec, because Weir's records are compressed with it
// (npm install kafkajs kafkajs-lz4). Run: node stream_answer.mjs

import { randomUUID } from "node:crypto";
import kafkajs from "kafkajs";
import LZ4 from "kafkajs-lz4";

const { CompressionCodecs, CompressionTypes, Kafka, Partitioners, logLevel } = kafkajs;
CompressionCodecs[CompressionTypes.LZ4] = new LZ4().codec;

const BROKERS = process.env.WEIR_BROKERS ?? "127.0.0.1:9092";
const AGENT = "support-bot";
// No verdict within this is no permission.
const TIMEOUT_MS = 10_000;

/** Stands for a model that streams its answer, some letters at a time. */
async function* model() {
  const answer = "Of course. Ask Jane, her address is jane.roe@gmail.com, and she knows the way.";
  for (let at = 0; at < answer.length; at += 6) yield answer.slice(at, at + 6);
}

const kafka = new Kafka({ brokers: BROKERS.split(","), logLevel: logLevel.ERROR });
const admin = kafka.admin();
// An idempotent producer with one request on its way: chunks of a stream have to arrive in
// order, and once. The partitioner is Java's; see publish_and_wait.mjs.
const producer = kafka.producer({
  createPartitioner: Partitioners.DefaultPartitioner,
  idempotent: true,
  maxInFlightRequests: 1,
});
await Promise.all([admin.connect(), producer.connect()]);

const stream = randomUUID();
let text = "";
let stopped = false;
let timer;
let tell;
const ended = new Promise((resolve) => { tell = resolve; });
const late = () => {
  timer = setTimeout(() => tell({ action: "block", stream: { ended: "timeout" } }), TIMEOUT_MS);
};
const told = { verdict: undefined, cleanTo: -1 };
/** A whole answer is over when its last chunk has been shown, a cut one with its verdict. */
function done() {
  const { verdict, cleanTo } = told;
  if (!verdict) return;
  if (verdict.stream.ended !== "last") setTimeout(() => tell(verdict), 500);
  else if (cleanTo >= verdict.stream.seq) tell(verdict);
}

const consumer = kafka.consumer({ groupId: `front-end-${randomUUID()}`, maxWaitTimeInMs: 10, readUncommitted: false });
await consumer.connect();
await consumer.subscribe({ topics: ["weir.verdicts", "weir.clean"], fromBeginning: false });
const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
await consumer.run({
  eachMessage: async ({ topic, message }) => {
    const said = JSON.parse(message.value.toString());
    if (said.stream?.id !== stream) return;
    clearTimeout(timer);
    late();
    if (topic === "weir.clean") {
      // What may be shown from here on: it may be empty, and it is not the chunk's own text.
      process.stderr.write(said.text);
      text += said.text;
      told.cleanTo = said.stream.seq;
    } else if (said.stream.ended && !told.verdict) {
      told.verdict = said;
      stopped = true;
    }
    done();
  },
});
await joined;
for (const topic of ["weir.verdicts", "weir.clean"]) {
  const ends = await admin.fetchTopicOffsets(topic);
  for (const { partition, high } of ends) consumer.seek({ topic, partition, offset: high });
}

late();
const chunks = model();
let { value: chunk } = await chunks.next();
for (let seq = 0; !stopped; seq += 1) {
  const { value: following, done: over } = await chunks.next();
  const event = {
    // Each chunk has an id of its own.
    v: 1, id: `${stream}-${seq}`, ts: Date.now(), kind: "output_chunk",
    agent: { id: AGENT, type: "support" }, session: "example",
    stream: { id: stream, seq, last: Boolean(over) }, text: chunk,
  };
  // Not sent before the chunk before it is there: that keeps them in order.
  await producer.send({ topic: "weir.events", acks: -1, messages: [{ key: AGENT, value: JSON.stringify(event) }] });
  if (over) break;
  chunk = following;
}
const verdict = await ended;
clearTimeout(timer);
process.stderr.write("\n");
console.log(verdict.stream.ended, verdict.stream.action ?? verdict.action, verdict.clean_through);
console.log(text);
await Promise.all([consumer.disconnect(), producer.disconnect(), admin.disconnect()]);
