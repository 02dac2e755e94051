//! Why messages become dead letters: what stands in `lockgate-class` and `lockgate-code`, in `lockgate dead list`, in the
//! counts of `/status` and in the log. A rejection carries a code of its plugin; here are those of the host, and those
//! that the SDK gives where a plugin passes an error on.

use super::Code;
use super::Kind::{Class, Letter};

/// The kinds of reason.
pub(super) const CLASSES: &[Code] = &[
    Code {
        word: "rejected",
        kind: Class,
        title: "the plugin says that the message can never succeed",
        meaning: "The plugin's verdict was `reject`. The code and the reason are the plugin's own; what it published \
                  beside the verdict is durable.",
        why: "To try again would end the same way, and keep others waiting.",
        mend: "Read the reason: the message is wrong, or what it names is gone, or refused by policy. Mend the cause, \
               then `lockgate dead redrive`.",
        examples: None,
    },
    Code {
        word: "exhausted",
        kind: Class,
        title: "it failed in every round of tries",
        meaning: "Each try ended with `retry`, a stall or a missed deadline, and neither a try nor a later round is left.",
        why: "A message that is tried for ever keeps its place from others.",
        mend: "`lockgate dead show` lists the failed tries. When the cause is mended, redrive the letter. If causes of this \
               kind last longer than the tries do, raise `retry.in_place.attempts` or the delays of `retry.later`.",
        examples: None,
    },
    Code {
        word: "guest-fault",
        kind: Class,
        title: "the plugin itself failed on the message",
        meaning: "In every try of the round the plugin trapped, computed or needed more than its limits, or broke the \
                  contract. Each try had a fresh instance, so the message and the plugin together are the cause.",
        why: "Another round would fail alike, so such a message is never parked.",
        mend: "Give the letter to the plugin's authors: class, code, version and SHA-256 of the component stand in it. \
               With a mended plugin, redrive it.",
        examples: None,
    },
    Code {
        word: "refused",
        kind: Class,
        title: "what was made of the message cannot be placed",
        meaning: "A topic refuses for good what the plugin published for the message, or what was spilled of the message \
                  is gone.",
        why: "The message cannot be settled as done, and to try again would end the same way.",
        mend: "See the code: `refused` or `spilled-body-gone`.",
        examples: None,
    },
];

/// The reasons.
pub(super) const CODES: &[Code] = &[
    Code {
        word: "retry",
        kind: Letter,
        title: "the plugin asked to try again until nothing was left",
        meaning: "The last try ended with the verdict `retry`. The reason says what failed, as the plugin tells it. Class \
                  `exhausted`.",
        why: "The tries and the later rounds are used up.",
        mend: "Look at what failed: mostly a system that the plugin asks. When it is well again, redrive the letter.",
        examples: None,
    },
    Code {
        word: "stalled",
        kind: Letter,
        title: "nothing moved for too long",
        meaning: "While the plugin waited on the host, no byte moved for `limits.stall`. Class `exhausted`.",
        why: "A call that waits for ever would keep its slot for ever.",
        mend: "Look at the system that was asked. If it is slow by nature, raise `limits.stall`; `timeouts` of the endpoint \
               end a slow request sooner, and tell the plugin why.",
        examples: None,
    },
    Code {
        word: "deadline",
        kind: Letter,
        title: "a call took longer than its deadline",
        meaning: "The call took longer than `limits.deadline` of the plugin, though something moved. Class `exhausted`.",
        why: "The spec says so.",
        mend: "Raise `limits.deadline`, or leave it out: stalls are noticed without it.",
        examples: None,
    },
    Code {
        word: "trap",
        kind: Letter,
        title: "the plugin crashed",
        meaning: "The component trapped: it panicked, ran out of stack, or did what WebAssembly forbids. The reason ends \
                  with what it last wrote to its standard error. Class `guest-fault`.",
        why: "An instance that trapped is in no known state, and is never called again.",
        mend: "It is a fault of the plugin: give its authors the letter.",
        examples: None,
    },
    Code {
        word: "cpu",
        kind: Letter,
        title: "the plugin computed for too long",
        meaning: "One call computed for more than `limits.cpu`; waiting does not count. Class `guest-fault`.",
        why: "A loop without end would take a processor from all other pipelines.",
        mend: "If the message is large and honest, raise `limits.cpu`; else it is a fault of the plugin.",
        examples: None,
    },
    Code {
        word: "memory",
        kind: Letter,
        title: "the plugin needed too much memory",
        meaning: "The instance asked for more memory, tables included, than `limits.memory`. Class `guest-fault`.",
        why: "The memory of all instances together has to fit into the machine.",
        mend: "If the message is large and honest, raise `limits.memory`: each of `concurrency` instances may use it. Bytes \
               that only go from an origin to a store need none: the host moves them.",
        examples: None,
    },
    Code {
        word: "contract",
        kind: Letter,
        title: "the plugin broke the contract",
        meaning: "It published to an output that it did not name, set a header that begins with `lockgate-`, \
                  published more than 10,000 messages at once, had too many host calls under way or handles open, or \
                  waited on nothing that the host knows of. Class `guest-fault`.",
        why: "What it meant cannot be told, and a part of it must not be published.",
        mend: "It is a fault of the plugin: docs/plugin-authors.md says what it may do.",
        examples: None,
    },
    Code {
        word: "refused",
        kind: Letter,
        title: "a topic refuses what the plugin published",
        meaning: "A record can never be written to the topic of an output, mostly because it is too large; the reason names \
                  the topic. What was published before it stands. Class `refused`.",
        why: "To write it again would be refused again.",
        mend: "Let the topic take larger records, or let the plugin publish less: a reference to a blob in place of its \
               content. Then redrive the letter.",
        examples: None,
    },
    Code {
        word: "spilled-body-gone",
        kind: Letter,
        title: "what was spilled of the message is gone",
        meaning: "The payload or the headers of the message went to a store once, because a topic did not take them, and \
                  are not there any more, or are not what was kept. Class `refused`.",
        why: "The plugin is never given half a message, nor another one.",
        mend: "Bring back what stood in the store, and redrive the letter: it still says where, and with which SHA-256. Let \
               the store keep `dead-letters/` for longer than the topics keep their messages.",
        examples: None,
    },
    Code {
        word: "denied",
        kind: Letter,
        title: "the host denies what the plugin asked for",
        meaning: "A request or a call on a store went to what is not granted, to a host that the endpoint does not allow, to \
                  an address that is not public, over a redirect that is not allowed, or to a path that leaves the store. \
                  Class `rejected`, where the plugin passes the SDK's error on.",
        why: "Messages may carry any URL and any name. One that leads into the network of the host, or away with a \
              credential, is an attack or a mistake.",
        mend: "The reason names what was denied. If it is meant: `grants` of the pipeline; `allow`, `redirects` or \
               `allow_addresses` of the endpoint. Then redrive the letter.",
        examples: None,
    },
    Code {
        word: "too-large",
        kind: Letter,
        title: "a message or a body is larger than the plugin takes",
        meaning: "The message takes more than half of `limits.memory`, so that it was never given to the plugin; or a \
                  response or a blob is larger than the limit that the plugin set. Class `rejected`, where the plugin \
                  passes the SDK's error on.",
        why: "The limit is what keeps one body from filling memory or store.",
        mend: "Of a message: if it is honest, raise `limits.memory` to more than twice its size. Of a body: see whether \
               the plugin's config has a setting for it; `lockgate plugin inspect` shows.",
        examples: None,
    },
    Code {
        word: "not-found",
        kind: Letter,
        title: "nothing stands in the store where the message says",
        meaning: "The plugin looked for a blob that is not there. Class `rejected`, where the plugin passes the SDK's error \
                  on.",
        why: "It will not come by waiting: who writes a message writes the blob before.",
        mend: "See whether the blob was deleted, or whether `grants` and `config` name the store that it lies in. Then \
               redrive the letter.",
        examples: None,
    },
    Code {
        word: "conflict",
        kind: Letter,
        title: "something else stands in the store already",
        meaning: "The plugin was to put a blob where one with other content stands. Class `rejected`, where the plugin \
                  passes the SDK's error on.",
        why: "Different content is never overwritten unless the plugin says so: two messages may name one path.",
        mend: "Compare the two: the reason has size and SHA-256 of what stands there. Remove the wrong one, and redrive the \
               letter.",
        examples: None,
    },
    Code {
        word: "payload-invalid",
        kind: Letter,
        title: "the payload is not what the plugin reads",
        meaning: "The payload is no JSON, or not of the shape that the plugin expects; the reason names the field. Class \
                  `rejected`, where the plugin passes the SDK's error on.",
        why: "The same bytes never read otherwise.",
        mend: "Ask whoever writes the topic. If the plugin is to take such messages, mend it and redrive the letter.",
        examples: None,
    },
    Code {
        word: "emission-invalid",
        kind: Letter,
        title: "the plugin made a message that is no JSON",
        meaning: "What the plugin was to publish cannot be written as JSON. Class `rejected`, where the plugin passes the \
                  SDK's error on.",
        why: "The same message never makes anything else.",
        mend: "It is a fault of the plugin: give its authors the letter.",
        examples: None,
    },
];
