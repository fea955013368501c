// A chat front end that streams a model's answer: each chunk goes to Weir, and the reader sees
// what Weir has let go, as it lets it go. An answer that is to be worded otherwise is asked for again.
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

const ANSWER = "Of course. Ask Jane, her address is jane.roe@gmail.com, and she knows the way.";

/**
 * Stands for a model that streams its answer, some letters at a time. With a hint it is asked
 * again, and words its answer otherwise.
 */
async function* model(hint) {
  const answer = hint ? "Please ask somebody who may advise you." : process.env.ANSWER ?? ANSWER;
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

/** The answer that is being shown: `tell` takes the verdict that ends it. */
let shown;

function late() {
  clearTimeout(shown.timer);
  const verdict = { action: "block", stream: { ended: "timeout" } };
  shown.timer = setTimeout(() => shown.tell(verdict), TIMEOUT_MS);
}

/** A whole answer is over when its last chunk has been shown, a cut one a little after its verdict. */
function done() {
  const { verdict, cleanTo, tell } = shown;
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
    if (!shown || said.stream?.id !== shown.stream) return;
    late();
    if (topic === "weir.clean") {
      // What may be shown from here on: it may be empty, and it is not the chunk's own text. A
      // chunk that was sent twice brings an empty one.
      process.stderr.write(said.text);
      shown.text += said.text;
      shown.cleanTo = said.stream.seq;
    } else if (said.stream.ended && !shown.verdict) {
      shown.verdict = said;
    }
    done();
  },
});
await joined;
for (const topic of ["weir.verdicts", "weir.clean"]) {
  const ends = await admin.fetchTopicOffsets(topic);
  for (const { partition, high } of ends) consumer.seek({ topic, partition, offset: high });
}

/** Streams one answer; gives the verdict that ended it. */
async function answer(hint) {
  const stream = randomUUID();
  const ended = new Promise((tell) => { shown = { stream, text: "", cleanTo: -1, tell }; });
  late();
  const chunks = model(hint);
  let { value: chunk } = await chunks.next();
  for (let seq = 0; !shown.verdict; seq += 1) {
    const { value: following, done: over } = await chunks.next();
    const event = {
      // Each chunk has an id of its own.
      v: 1, id: `${stream}-${seq}`, ts: Date.now(), kind: "output_chunk",
      agent: { id: AGENT, type: "support" }, session: "example",
      stream: { id: stream, seq, last: Boolean(over) }, text: chunk,
    };
    // Not sent before the chunk before it is there: that keeps them in order. The client connects
    // again and tries again by itself; where it gives up, so does the answer.
    await producer.send({ topic: "weir.events", acks: -1, messages: [{ key: AGENT, value: JSON.stringify(event) }] });
    if (over) break;
    chunk = following;
  }
  const verdict = await ended;
  clearTimeout(shown.timer);
  process.stderr.write("\n");
  console.log(verdict.stream.ended, verdict.stream.action ?? verdict.action, verdict.clean_through);
  console.log(shown.text);
  return verdict;
}

const verdict = await answer();
// What was shown of the first answer is taken back, and the model asked again, once.
if (verdict.action === "retry") await answer(verdict.retry_hint);
await Promise.all([consumer.disconnect(), producer.disconnect(), admin.disconnect()]);
