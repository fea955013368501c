"""A chat front end that streams a model's answer: each chunk goes to Weir, and the reader sees
what Weir has let go, as it lets it go. An answer that is to be worded otherwise is asked for again.

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


ANSWER = "Of course. Ask Jane, her address is jane.roe@gmail.com, and she knows the way."


def model(hint=None):
    """Stands for a model that streams its answer, some letters at a time. With a hint it is asked
    again, and words its answer otherwise."""
    answer = os.environ.get("ANSWER", ANSWER) if hint is None else "Please ask somebody who may advise you."
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
        # The client connects again by itself. What is not there by then is not sent any more: the
        # stream has a gap, and ends.
        "message.timeout.ms": int(TIMEOUT_S * 1000),
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


def publish(stream, hint, stopped):
    """Sends the answer's chunks as the model brings them, until the stream is cut."""
    chunks = model(hint)
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
    ended, shown_to, over = None, -1, deadline
    while time.monotonic() < min(deadline, over):
        record = consumer.poll(0.1)
        if record is not None and not record.error():
            said = json.loads(record.value())
            if said.get("stream", {}).get("id") != stream:
                continue
            deadline = time.monotonic() + TIMEOUT_S
            if record.topic() == "weir.clean":
                # The text of a clean chunk is what may be shown from here on: it may be empty, and
                # it is not the chunk's own text. A chunk that was sent twice brings an empty one.
                show(said["text"])
                shown_to = said["stream"]["seq"]
            elif said["stream"].get("ended") and not ended:
                ended = said
                # The other topic may be a little behind. An answer that was cut has nothing more
                # to show, or a last piece of it and the notice.
                over = time.monotonic() + 0.5
        if ended and ended["stream"]["ended"] == "last":
            if shown_to >= ended["stream"]["seq"]:
                return ended
            over = deadline
    return ended or {"action": "block", "reasons": [], "stream": {"ended": "timeout"}}


def answer(consumer, hint=None):
    """Streams one answer; gives the verdict that ended it, and what was shown."""
    stream = str(uuid.uuid4())
    stopped = threading.Event()
    sender = threading.Thread(target=publish, args=(stream, hint, stopped))
    sender.start()
    text = []

    def show(part):
        text.append(part)
        print(part, end="", flush=True, file=sys.stderr)

    verdict = render(consumer, stream, show)
    stopped.set()
    sender.join()
    print(file=sys.stderr)
    action = verdict["stream"].get("action", verdict["action"])
    print(verdict["stream"]["ended"], action, verdict.get("clean_through"))
    print("".join(text))
    return verdict


consumer = follow()
verdict = answer(consumer)
if verdict["action"] == "retry":
    # What was shown of the first answer is taken back, and the model asked again, once.
    answer(consumer, verdict["retry_hint"])
consumer.close()
