"""What the official Python client makes of the emulator, by one of the four ways to connect.

    judge.py WAY PORT CA

WAY is amqp, amqps, ws or wss; PORT is the emulator's; CA is the certificate that it wrote. The emulator has to be new:
its hubs are `judged` with four partitions and the groups `$Default`, `other` and `pair`, and `small` with two.
LOCKGATE_AZURITE, where it is set, is a blob endpoint: then processors keep their checkpoints there, else in memory.
Ends with 0 when everything is as with the service, else says what is not.
"""

import os
import sys
import threading
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from azure.eventhub import (
    EventData,
    EventHubConsumerClient,
    EventHubProducerClient,
    EventHubSharedKeyCredential,
    TransportType,
)
from azure.eventhub._buffered_producer._partition_resolver import generate_hash_code
from azure.eventhub._eventprocessor.in_memory_checkpoint_store import InMemoryCheckpointStore
from azure.eventhub.exceptions import EventHubError

KEY = "RootManageSharedAccessKey"
SECRET = "SAS_KEY_VALUE"
PATIENCE = 60

WAY, PORT, CA = sys.argv[1], sys.argv[2], sys.argv[3]


def connection(secret=SECRET):
    """The connection string and the options by which a client comes this way."""
    sockets = {"transport_type": TransportType.AmqpOverWebsocket} if WAY in ("ws", "wss") else {}
    if WAY in ("amqps", "wss"):
        # As with a private endpoint: the namespace's name is not where the client connects.
        endpoint = {"custom_endpoint_address": f"sb://localhost:{PORT}", "connection_verify": CA}
        return f"Endpoint=sb://myns.servicebus.windows.net;SharedAccessKeyName={KEY};SharedAccessKey={secret}", {
            **sockets,
            **endpoint,
        }
    # What makes the client do without TLS. By WebSocket it then forgets the port, unless it is told apart.
    endpoint = {"custom_endpoint_address": f"sb://localhost:{PORT}"} if WAY == "ws" else {}
    string = f"Endpoint=sb://localhost:{PORT};SharedAccessKeyName={KEY};SharedAccessKey={secret}"
    return string + ";UseDevelopmentEmulator=true;", {**sockets, **endpoint}


def producer(hub="judged", secret=SECRET, **options):
    string, transport = connection(secret)
    options = {"retry_total": 0, **transport, **options}
    return EventHubProducerClient.from_connection_string(string, eventhub_name=hub, **options)


def consumer(group="$Default", hub="judged", **options):
    string, transport = connection()
    options = {"retry_total": 0, **transport, **options}
    return EventHubConsumerClient.from_connection_string(string, group, eventhub_name=hub, **options)


def equal(what, found, expected):
    if found != expected:
        raise AssertionError(f"{what}: {found!r} instead of {expected!r}")


def until(what, condition, patience=PATIENCE):
    """Waits for a condition, and fails when it does not come."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {patience} s")
        time.sleep(0.02)


class Reader:
    """Receives from one partition, beside whoever made it."""

    def __init__(self, partition, start="-1", group="$Default", hub="judged", **options):
        self.events, self.errors, self.end = [], [], None
        self.client = consumer(group, hub)
        self.options = {"partition_id": partition, "starting_position": start, "max_wait_time": 0.2, **options}
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _batch(self, context, events):
        self.end = context.last_enqueued_event_properties
        self.events.extend(events)

    def _read(self):
        try:
            self.client.receive_batch(
                self._batch,
                on_error=lambda _, error: self.errors.append(error),
                **self.options,
            )
        except Exception as error:  # Told to whoever made it.
            self.errors.append(error)

    def until(self, count):
        until(f"{count} events, has {len(self.events)}, errors {self.errors}", lambda: len(self.events) >= count or self.errors)
        if self.errors:
            raise AssertionError(f"{self.errors[0]!r}")
        return self.events

    def until_error(self):
        until("an error", lambda: self.errors)
        return str(self.errors[0])

    def close(self):
        self.client.close()
        self.thread.join(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def fails(what, operation, *parts):
    """The operation fails, at once, and the error says so."""
    begun = time.monotonic()
    try:
        operation()
    except Exception as error:
        for part in parts:
            if part not in str(error):
                raise AssertionError(f"{what}: {part!r} is not in {error!r}") from error
        if time.monotonic() - begun > 20:
            raise AssertionError(f"{what}: took {time.monotonic() - begun:.0f} s")
        return
    raise AssertionError(f"{what}: does not fail")


def send(client, events, **where):
    batch = client.create_batch(**where)
    for event in events:
        try:
            batch.add(event)
        except ValueError:
            client.send_batch(batch)
            batch = client.create_batch(**where)
            batch.add(event)
    client.send_batch(batch)


def hubs_are_described():
    with producer() as client:
        properties = client.get_eventhub_properties()
        equal("name", properties["eventhub_name"], "judged")
        equal("partitions", properties["partition_ids"], ["0", "1", "2", "3"])
        partition = client.get_partition_properties("3")
        equal("empty", (partition["is_empty"], partition["last_enqueued_sequence_number"]), (True, -1))


def batches_arrive_whole_and_in_order():
    count = 3000

    def event(index):
        event = EventData(f"body {index} ".encode() * 20)
        event.properties = {"index": index, "text": "Grüße", b"bytes": b"\x00\xff"}
        event.message_id, event.content_type = f"id-{index}", "text/plain"
        return event

    with producer() as client:
        send(client, map(event, range(count)), partition_id="0")
        partition = client.get_partition_properties("0")
    with Reader("0", prefetch=500) as reader:
        events = reader.until(count)
    equal("count", len(events), count)
    for index, event in enumerate(events):
        equal("body", event.body_as_str(), f"body {index} " * 20)
        equal("properties", event.properties, {b"index": index, b"text": "Grüße".encode(), b"bytes": b"\x00\xff"})
        equal("message", (event.message_id, event.content_type), (f"id-{index}", "text/plain"))
        equal("sequence number", event.sequence_number, index)
    offsets = [int(event.offset) for event in events]
    equal("offsets grow", offsets, sorted(set(offsets)))
    assert offsets[1:] != list(range(1, count)), "offsets are no sequence numbers"
    assert events[0].enqueued_time <= events[-1].enqueued_time
    equal("last", partition["last_enqueued_sequence_number"], count - 1)
    equal("last offset", partition["last_enqueued_offset"], str(offsets[-1]))
    equal("last time", partition["last_enqueued_time_utc"], events[-1].enqueued_time)


def receivers_begin_where_they_say():
    with producer() as client:
        for index in range(5):
            client.send_event(EventData(f"position {index}"), partition_id="1")
            # Times have to differ.
            time.sleep(0.02)
    with Reader("1") as reader:
        events = reader.until(5)
    third = events[2]
    table = [
        ("-1", False, 0),
        (third.offset, False, 3),
        (third.offset, True, 2),
        (third.sequence_number, False, 3),
        (third.sequence_number, True, 2),
        (third.enqueued_time, False, 3),
        (third.enqueued_time, True, 2),
        (third.enqueued_time - timedelta(milliseconds=1), False, 2),
        (third.enqueued_time + timedelta(milliseconds=1), True, 3),
    ]

    def check(row):
        position, inclusive, first = row
        with Reader("1", position, starting_position_inclusive=inclusive) as reader:
            bodies = [event.body_as_str() for event in reader.until(5 - first)]
        equal(f"from {position!r}, inclusive {inclusive}", bodies, [f"position {index}" for index in range(first, 5)])

    # The client waits more than it works. Fewer at once than a group may have.
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(check, table))
    with Reader("1", "@latest") as reader, producer() as client:
        # The link is there once what comes after it arrives.
        def arrives():
            client.send_event(EventData("latest"), partition_id="1")
            return reader.events
        until("the latest", arrives)
        equal("from the end", reader.events[0].body_as_str(), "latest")
    with Reader("1", str(int(events[-1].offset) + 10**9)) as reader:
        error = reader.until_error()
        assert "is invalid. The last offset in the system is" in error, error


def partition_keys_lead_to_their_partitions():
    keys = [f"key-{index}" for index in range(24)]
    expected = {partition: [] for partition in "0123"}
    with producer() as client:
        before = {id: client.get_partition_properties(id)["last_enqueued_sequence_number"] for id in "0123"}
        for key in keys:
            send(client, [EventData(key), EventData(key)], partition_key=key)
            # As the client for Node has it. What this one would do by itself is something else where the hash is
            # negative: it takes the other of both remainders.
            expected[str(abs(generate_hash_code(key)) % 4)] += [key, key]
    for partition, keys in expected.items():
        assert keys, f"no key leads to {partition}"
        with Reader(partition, before[partition]) as reader:
            events = reader.until(len(keys))
        equal(f"keys of {partition}", [event.partition_key for event in events], [key.encode() for key in keys])


def without_a_key_every_partition_gets_some():
    with producer(hub="small") as client:
        for index in range(4):
            client.send_event(EventData(f"{index}"))
        counts = [client.get_partition_properties(id)["last_enqueued_sequence_number"] + 1 for id in "01"]
    equal("spread", counts, [2, 2])


def what_is_large_arrives_and_what_is_too_large_is_refused():
    with producer() as client:
        last = client.get_partition_properties("2")["last_enqueued_sequence_number"]
        body = os.urandom(900_000)
        client.send_event(EventData(body), partition_id="2")
        fails("too large", lambda: client.send_event(EventData(b"z" * 1_200_000), partition_id="2"), "exceeds the limit")
        client.send_event(EventData("after"), partition_id="2")
    with Reader("2", last) as reader:
        bodies = [b"".join(event.body) for event in reader.until(2)]
    equal("bodies", bodies, [body, b"after"])


def the_end_of_a_partition_is_told_to_whoever_asks():
    with Reader("1", track_last_enqueued_event_properties=True) as reader, producer() as client:
        reader.until(5)
        extent = client.get_partition_properties("1")
    equal("last", reader.end["sequence_number"], extent["last_enqueued_sequence_number"])
    equal("last offset", reader.end["offset"], extent["last_enqueued_offset"])
    equal("last time", reader.end["enqueued_time"], extent["last_enqueued_time_utc"])
    with Reader("1") as reader:
        reader.until(5)
    equal("unasked", reader.end, None)


def higher_epochs_take_partitions():
    with producer() as client:
        client.send_event(EventData("epoch"), partition_id="3")
    first = Reader("3", owner_level=1)
    first.until(1)
    second = Reader("3", owner_level=5)
    second.until(1)
    error = first.until_error()
    assert "higher epoch of '5' is created" in error, error
    lower = Reader("3", owner_level=2)
    error = lower.until_error()
    assert "with a higher epoch '5' already exists" in error, error
    without = Reader("3")
    error = without.until_error()
    assert "non-epoch receiver is not allowed" in error, error
    with Reader("3", group="other") as beside:
        beside.until(1)
    equal("the holder goes on", second.errors, [])
    for reader in (first, second, lower, without):
        reader.close()


def more_receivers_than_are_allowed_are_refused():
    readers = [Reader("3", group="other") for _ in range(5)]
    for reader in readers:
        reader.until(1)
    with Reader("3", group="other") as sixth:
        error = sixth.until_error()
        assert "maximum number of allowed receivers" in error, error
    for reader in readers:
        reader.close()


def what_does_not_exist_or_is_not_allowed_is_said_at_once():
    with producer(secret="WRONG") as client:
        fails("wrong key", client.get_eventhub_properties, "InvalidSignature")
    with producer(secret="WRONG") as client:
        fails("wrong key to send", lambda: client.send_event(EventData("x")), "InvalidSignature")
    with producer(hub="missing") as client:
        fails("no hub", client.get_eventhub_properties, "could not be found")
    with producer(hub="missing") as client:
        fails("no hub to send to", lambda: client.send_event(EventData("x")), "could not be found")
    with producer() as client:
        # It asks which there are before it sends.
        fails("no partition", lambda: client.send_event(EventData("x"), partition_id="9"), "Invalid partition 9")
    with producer() as client:
        fails("no partition to describe", lambda: client.get_partition_properties("9"), "specified partition is invalid")
    for what, reader in [
        ("could not be found", Reader("0", hub="missing")),
        ("could not be found", Reader("0", group="missing")),
        ("Wrong partition id:9", Reader("9")),
    ]:
        error = reader.until_error()
        assert what in error, error
        reader.close()


def checkpoint_store():
    endpoint = os.environ.get("LOCKGATE_AZURITE")
    if not endpoint:
        return InMemoryCheckpointStore()
    from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore
    from azure.eventhub.extensions.checkpointstoreblob._vendor.storage.blob import BlobServiceClient

    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    string = f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={key};BlobEndpoint={endpoint};"
    container = f"judge-{uuid.uuid4()}"
    BlobServiceClient.from_connection_string(string).create_container(container)
    return BlobCheckpointStore.from_connection_string(string, container)


class Processor:
    """One member of a pair that shares partitions."""

    def __init__(self, name, store, seen):
        self.name, self.partitions, self.errors, self.seen = name, set(), [], seen
        options = {"checkpoint_store": store, "load_balancing_interval": 1, "partition_ownership_expiration_interval": 10}
        self.client = consumer("pair", retry_total=3, **options)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        self.client.receive_batch(
            self._batch,
            starting_position="-1",
            max_wait_time=0.2,
            on_error=lambda _, error: self.errors.append(error),
            on_partition_initialize=lambda context: self.partitions.add(context.partition_id),
            on_partition_close=lambda context, _: self.partitions.discard(context.partition_id),
        )

    def _batch(self, context, events):
        self.seen.extend((context.partition_id, event.sequence_number, self.name) for event in events)
        if events:
            context.update_checkpoint(events[-1])

    def close(self):
        self.client.close()
        self.thread.join(PATIENCE)


class Feeder:
    """Sends a little to every partition, again and again, until it is told to stop."""

    def __init__(self):
        self.sent, self.stopped, self.failed = 0, threading.Event(), []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            with producer(retry_total=3) as client:
                while not self.stopped.wait(0.05):
                    for partition in "0123":
                        client.send_batch([EventData("x"), EventData("y")], partition_id=partition)
                        self.sent += 2
        except Exception as error:
            self.failed.append(error)

    def stop(self):
        self.stopped.set()
        self.thread.join(PATIENCE)
        equal("the feeder", self.failed, [])


def two_processors_share_partitions_and_hand_them_over():
    store, seen = checkpoint_store(), []
    feeder = Feeder()
    first = Processor("first", store, seen)
    until("the first has all partitions", lambda: len(first.partitions) == 4)
    second = Processor("second", store, seen)
    until("each has two partitions", lambda: len(first.partitions) == len(second.partitions) == 2)
    until("sent enough", lambda: feeder.sent > 200)
    first.close()
    until("the second has all partitions", lambda: len(second.partitions) == 4)
    feeder.stop()
    with producer() as client:
        extents = [client.get_partition_properties(id) for id in "0123"]
    expected = {
        (extent["id"], sequence)
        for extent in extents
        for sequence in range(extent["beginning_sequence_number"], extent["last_enqueued_sequence_number"] + 1)
    }

    def missing():
        return sorted(expected - {(partition, sequence) for partition, sequence, _ in seen})

    try:
        until("every event", lambda: not missing())
    except AssertionError as error:
        if not (lost := missing()):
            raise
        # Who saw what next to it, and in which order: whether it was passed over by a link, or by a checkpoint.
        near = [event for event in seen if event[0] == lost[0][0] and abs(event[1] - lost[0][1]) <= 5]
        errors = [*first.errors, *second.errors]
        what = f"of {len(expected)} are missing {lost[:20]}; next to the first were seen {near}; errors {errors}"
        raise AssertionError(f"{error}: {what}") from error
    second.close()


SCENARIOS = [
    hubs_are_described,
    batches_arrive_whole_and_in_order,
    receivers_begin_where_they_say,
    partition_keys_lead_to_their_partitions,
    without_a_key_every_partition_gets_some,
    what_is_large_arrives_and_what_is_too_large_is_refused,
    the_end_of_a_partition_is_told_to_whoever_asks,
    higher_epochs_take_partitions,
    more_receivers_than_are_allowed_are_refused,
    what_does_not_exist_or_is_not_allowed_is_said_at_once,
    two_processors_share_partitions_and_hand_them_over,
]


def main():
    failed = 0
    chosen = sys.argv[4:]
    for scenario in SCENARIOS:
        if chosen and scenario.__name__ not in chosen:
            continue
        begun = time.monotonic()
        try:
            scenario()
            print(f"ok      {scenario.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {scenario.__name__}", flush=True)
            traceback.print_exc()
    sys.stdout.flush()
    # Threads of clients that are stuck do not hold up the end.
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    main()
