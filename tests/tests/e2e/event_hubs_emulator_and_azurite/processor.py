"""A processor of the official Python client: one member of a consumer group, beside whoever else is in it.

    processor.py ENDPOINT CA NAMESPACE HUB GROUP KEY BLOBS CONTAINER

Says a line for each thing: `owns P`, `lost P`, `read P SEQUENCE`, the last once it is checkpointed. Ends, and gives back what
it owns, when its input ends: this client does not do that by itself, as the one for .NET does, and so others would wait until it
counts as gone.
"""

import sys
import threading

from azure.eventhub import EventHubConsumerClient, TransportType
from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore

ENDPOINT, CA, NAMESPACE, HUB, GROUP, KEY, BLOBS, CONTAINER = sys.argv[1:9]
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
lock = threading.Lock()


def say(*words):
    with lock:
        print(*words, flush=True)


def read(context, events):
    if not events:
        return
    context.update_checkpoint(events[-1])
    for event in events:
        say("read", context.partition_id, event.sequence_number)


class Store(BlobCheckpointStore):
    """Knows by which names this process has claimed."""

    names = set()

    def claim_ownership(self, ownership_list, **options):
        self.names.update(ownership["owner_id"] for ownership in ownership_list)
        return super().claim_ownership(ownership_list, **options)


store = Store.from_connection_string(
    f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};BlobEndpoint={BLOBS};", CONTAINER
)
client = EventHubConsumerClient.from_connection_string(
    f"Endpoint=sb://{NAMESPACE}/;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={KEY}",
    GROUP,
    eventhub_name=HUB,
    checkpoint_store=store,
    transport_type=TransportType.AmqpOverWebsocket,
    custom_endpoint_address=f"sb://localhost:{ENDPOINT}",
    connection_verify=CA,
    load_balancing_interval=1,
    partition_ownership_expiration_interval=10,
)


def until_told():
    sys.stdin.read()
    client.close()


threading.Thread(target=until_told, daemon=True).start()
client.receive_batch(
    read,
    starting_position="-1",
    max_wait_time=0.2,
    on_error=lambda _, error: say("error", repr(error)),
    on_partition_initialize=lambda context: say("owns", context.partition_id),
    on_partition_close=lambda context, _: say("lost", context.partition_id),
)
owned = [ownership for ownership in store.list_ownership(NAMESPACE, HUB, GROUP) if ownership["owner_id"] in Store.names]
store.claim_ownership([{**ownership, "owner_id": ""} for ownership in owned])
