//! What a running pipeline does, and what its oldest message waits for: what stands in `lockgate status`, `/status`,
//! `/ready` and the metrics.

use super::Code;
use super::Kind::{State, Wait};

/// The states. Only `running` is ready.
pub(super) const STATES: &[Code] = &[
    Code {
        word: "starting",
        kind: State,
        title: "it waits for its partitions",
        meaning: "The pipeline is being opened, or has no partition yet. A host stays so while others of its group have \
                  all of them: it is a standby.",
        why: "Two hosts must never work on one partition.",
        mend: "Nothing, if another host has the partitions. Else see the log; who had them before may take as long as its \
               `drain_for`, or, if it died, a `lease`.",
        examples: None,
    },
    Code {
        word: "running",
        kind: State,
        title: "it takes messages",
        meaning: "All is well: the pipeline reads, starts and settles messages.",
        why: "It is the state that a pipeline should be in; `/ready` answers 200 while every one of them is.",
        mend: "Nothing. If its lag grows all the same, see what its oldest message waits for.",
        examples: None,
    },
    Code {
        word: "held",
        kind: State,
        title: "a cause that is not the messages' fault",
        meaning: "The plugin's verdict was `hold`, no instance of it can be made, or what was spilled of a message cannot be \
                  read now. Nothing new starts, and no try is used up.",
        why: "Every message would fail of the same cause, a refused credential or a system that is down, and end as a dead \
              letter.",
        mend: "Mend what the reason says. One held message is tried again by itself, after 10 s and then less often, up to \
               every 5 min, or after the time that the plugin names; when it passes, all go on.",
        examples: None,
    },
    Code {
        word: "blocked",
        kind: State,
        title: "something outside does not work",
        meaning: "A topic cannot be written or read, checkpoints cannot be stored, or the pipeline cannot be opened. Nothing \
                  new is admitted until it works again.",
        why: "A pipeline never goes past a message that it could not place.",
        mend: "Mend what the reason says; it is tried again by itself, with growing waits. A letter that its topic refuses \
               as too large needs a store: `dead_letter.spill`.",
        examples: None,
    },
    Code {
        word: "paused",
        kind: State,
        title: "somebody paused it",
        meaning: "Nothing new is admitted or started; what ran has finished and is stored. The partitions stay with this \
                  host.",
        why: "It was told to, by `lockgate pause` or the admin address.",
        mend: "`lockgate resume NAME`.",
        examples: None,
    },
    Code {
        word: "draining",
        kind: State,
        title: "it finishes what runs, and stops",
        meaning: "The host was told to stop. What runs may finish within `drain_for`, then the checkpoints are stored.",
        why: "A message that is finished and stored does not run again after the next start.",
        mend: "Nothing. A second signal ends at once; then what ran runs again.",
        examples: None,
    },
    Code {
        word: "stopped",
        kind: State,
        title: "it was told to stop, and has",
        meaning: "The pipeline ended in order and has stored its checkpoints.",
        why: "It was told to.",
        mend: "Start the host again.",
        examples: None,
    },
    Code {
        word: "failed",
        kind: State,
        title: "it cannot go on until somebody acts",
        meaning: "The pipeline ended for a cause that does not pass by itself: a topic that is missing, messages that are \
                  gone before they were settled, data that is damaged. The others go on, unless `on_fatal: exit` is set.",
        why: "To go on would be to pass over messages in silence.",
        mend: "Mend what the reason says and start the host again: it begins at its checkpoint. For messages that are no \
               longer kept, `on_lost_position: earliest` and `latest` go on without them.",
        examples: None,
    },
    Code {
        word: "silent",
        kind: State,
        title: "it does not answer",
        meaning: "The pipeline did not answer the question how it is for 3 s.",
        why: "Its loop stands still: a bug of the host, or a machine without air. `/live` answers 503 then.",
        mend: "Restart the host: every pipeline begins at its checkpoint. Keep the log, and report it.",
        examples: None,
    },
];

/// What the oldest message that is not settled waits for: `waits_for` in `/status`.
pub(super) const WAITS: &[Code] = &[
    Code {
        word: "slot",
        kind: Wait,
        title: "for a free instance of the plugin",
        meaning: "As many messages as `concurrency` are in the plugin.",
        why: "`concurrency` bounds what runs at once.",
        mend: "If it stays so, the plugin is the bottleneck: raise `concurrency`, or `max_concurrent` and `rate` of the \
               endpoint.",
        examples: None,
    },
    Code {
        word: "lane",
        kind: Wait,
        title: "behind another message of its key or partition",
        meaning: "The pipeline has an `order`, and a message before this one in that order is not settled.",
        why: "Messages of one key run one after another, each once the one before is settled.",
        mend: "See what the message before it waits for. A key that keeps failing can be let pass with `retry.later` and \
               `overtake: allowed`.",
        examples: None,
    },
    Code {
        word: "plugin",
        kind: Wait,
        title: "for the plugin: it runs",
        meaning: "The message is in the plugin, for as long as is told.",
        why: "It is the work itself.",
        mend: "If it takes too long, see which system the plugin asks; `limits.stall` and `limits.deadline` end it.",
        examples: None,
    },
    Code {
        word: "again",
        kind: Wait,
        title: "for its next try",
        meaning: "A try failed, and the wait before the next one is not over.",
        why: "What failed just now mostly fails again at once; waits grow up to `retry.in_place.max`.",
        mend: "The log says why the try failed: `failed; it is tried again`.",
        examples: None,
    },
    Code {
        word: "trial",
        kind: Wait,
        title: "for its trial: it is held",
        meaning: "The message is held, and will be tried alone; or another held one is being tried.",
        why: "One message finds out whether the cause has passed, so that the others need not fail of it.",
        mend: "Mend the reason that the pipeline is `held` for.",
        examples: None,
    },
    Code {
        word: "hold",
        kind: Wait,
        title: "until a held message passes",
        meaning: "Another message of the pipeline is held, so this one is not started.",
        why: "It would fail of the same cause.",
        mend: "Mend the reason that the pipeline is `held` for.",
        examples: None,
    },
    Code {
        word: "topic",
        kind: Wait,
        title: "until topics can be written again",
        meaning: "A topic does not take what other messages made, and nothing starts until it does.",
        why: "What is made has to go somewhere: more of it would only wait, too.",
        mend: "Mend the topic that the reason names.",
        examples: None,
    },
    Code {
        word: "durable",
        kind: Wait,
        title: "for its own effects to be written",
        meaning: "The plugin is done with it; what it published, its dead letter or its parked record is being written.",
        why: "A message is settled only once what became of it is durable.",
        mend: "If it stays so, the reason names the topic that fails: mend it.",
        examples: None,
    },
    Code {
        word: "due",
        kind: Wait,
        title: "until it is due: it is parked",
        meaning: "The message failed a round of tries and waits in the retry topic.",
        why: "The spec says how long, under `retry.later.delays`.",
        mend: "Nothing: it comes back by itself.",
        examples: None,
    },
    Code {
        word: "resume",
        kind: Wait,
        title: "until the pipeline is resumed",
        meaning: "The pipeline is paused, so the message is not started.",
        why: "Somebody paused it.",
        mend: "`lockgate resume NAME`.",
        examples: None,
    },
];
