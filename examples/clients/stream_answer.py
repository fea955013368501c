"""A chat front end that streams a model's answer: each chunk goes to Weir, and the reader sees
what Weir has let go, as it lets it go.

Needs confluent-kafka (pip install confluent-kafka). Run: python stream_answer.py
"""

import json
import os
import sys
import threading
import time
import uuid

from confluent_kafka import Consumer, Producer, TopicPartition

BROKERS = os.environ.get("WEIR_BROKERS", "127.0.0.1:9092")
AGENT = "support-bot"
# No verdict within this is no permission.
TIMEOUT_S = 10.0


def model():
    """Stands for a model that streams its answer, some letters at a time."""
    answer = "Of course. Ask Jane, her address is jane.roe@gmail.com, and she knows the way."
    for at in range(0, len(answer), 6):
        yield answer[at : at + 6]


producer = Producer(
    {
        "bootstrap.servers": BROKERS,
        # All senders must agree on the partition of an agent; see publish_and_wait.py.
        "partitioner": "murmur2_random",
        # A chunk that is sent again after a lost answer must not stand there twice, nor after a
        # later one: chunks of a stream have to arrive in order.
        "enable.idempotence": True,
        "linger.ms": 0,
    }
)


def follow():
    """A reader of the topics that carry what Weir says, from their ends on."""
    consumer = Consumer(
        {
            "bootstrap.servers": BROKERS,
            "group.id": f"front-end-{uuid.uuid4()}",
            # Only what is committed: chunks of an aborted transaction come again.
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 10,
        }
    )
    places = []
    for topic in ("weir.verdicts", "weir.clean"):
        for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            end = consumer.get_watermark_offsets(TopicPartition(topic, number))[1]
            places.append(TopicPartition(topic, number, end))
    consumer.assign(places)
    return consumer


def publish(stream, stopped):
    """Sends the answer's chunks as the model brings them, until the stream is cut."""
    chunks = model()
    chunk, seq = next(chunks), 0
    while not stopped.is_set():
        following = next(chunks, None)
        event = {
            "v": 1,
            # Each chunk has an id of its own.
            "id": f"{stream}-{seq}",
            "ts": int(time.time() * 1000),
            "kind": "output_chunk",
            "agent": {"id": AGENT, "type": "support"},
            "session": "example",
            "stream": {"id": stream, "seq": seq, "last": following is None},
            "text": chunk,
        }
        producer.produce("weir.events", key=AGENT, value=json.dumps(event))
        producer.poll(0)
        if following is None:
            break
        chunk, seq = following, seq + 1
    producer.flush(TIMEOUT_S)


def render(consumer, stream, show):
    """Shows what is let go, in order, until the stream has ended. Returns its last verdict."""
    deadline = time.monotonic() + TIMEOUT_S
    ended, shown_to, clean_to = None, -1, -1
    while time.monotonic() < deadline:
        record = consumer.poll(0.1)
        if record is None or record.error():
            # A cut stream may have nothing more to show; a whole one is over with its last chunk.
            if ended and (ended["stream"]["ended"] != "last" or shown_to >= clean_to):
                return ended
            continue
        said = json.loads(record.value())
        if said.get("stream", {}).get("id") != stream:
            continue
        deadline = time.monotonic() + TIMEOUT_S
        if record.topic() == "weir.clean":
            # The text of a clean chunk is what may be shown from here on: it may be empty, and it
            # is not the chunk's own text.
            show(said["text"])
            shown_to = said["stream"]["seq"]
        elif said["stream"].get("ended"):
            ended, clean_to = said, said["stream"]["seq"]
    return ended or {"action": "block", "reasons": [], "stream": {"ended": "timeout"}}


stream = str(uuid.uuid4())
consumer = follow()
stopped = threading.Event()
sender = threading.Thread(target=publish, args=(stream, stopped))
sender.start()
text = []


def show(part):
    text.append(part)
    print(part, end="", flush=True, file=sys.stderr)


verdict = render(consumer, stream, show)
stopped.set()
sender.join()
print(file=sys.stderr)
print(verdict["stream"]["ended"], verdict["stream"].get("action", verdict["action"]), verdict.get("clean_through"))
print("".join(text))
consumer.close()
