//! What the oracle makes of records: none is written that may not be, and all that must be are before a message is
//! settled.

use tokio::time::Instant;

use super::super::fate::{Copy, Doing, Fate, Planned, RETRY};
use super::super::script::Ending;
use super::Oracle;
use crate::model::header;
use crate::model::{MessageId, Partition, Record};
use crate::transport::{WriteError, Written};

impl Oracle {
    /// Records are about to be written. The message, and its call.
    pub(in super::super) fn writes(
        &mut self,
        life: u64,
        topic: &'static str,
        records: &[Record],
    ) -> Option<(usize, u64)> {
        let which: Option<Vec<_>> = records.iter().map(|record| self.record(topic, record)).collect();
        let Some((&(index, _), which)) = which.as_ref().and_then(|which| Some((which.first()?, which))) else {
            self.blame(format!("records that no message makes are written to {topic}: {records:?}"));
            return None;
        };
        let name = self.fates[index].name();
        let numbers: Vec<usize> = which.iter().map(|(_, record)| *record).collect();
        self.note(format_args!("{name} writes {numbers:?} to {topic}"));
        if let Some(why) = self.why_not_to_write(life, index, &numbers, records) {
            self.blame(format!("{name} writes to {topic} though {why}"));
        }
        let fate = &mut self.fates[index];
        fate.doing = Doing::Writing { again: matches!(fate.doing, Doing::Stuck { .. }) };
        Some((index, fate.run))
    }

    fn why_not_to_write(&self, life: u64, index: usize, numbers: &[usize], records: &[Record]) -> Option<String> {
        let fate = &self.fates[index];
        let ours = self.assigned.get(&fate.partition).is_some_and(|assigned| assigned.number == fate.assignment);
        let wrong = |number: &usize| {
            let twice = fate.planned[*number].copy.is_some_and(|copy| copy.told && copy.assignment == fate.assignment);
            twice || !fate.may_become(*number)
        };
        let early = |number: &usize| {
            let before =
                |other: usize| other < *number && (fate.is_letter(*number) || self.same_topic(fate, other, *number));
            let class = !matches!(fate.ending, Ending::Dead { class: "refused", .. } | Ending::Parked { .. });
            let missing = |(other, planned): (usize, &Planned)| {
                before(other)
                    && fate.may_become(other)
                    && !planned.refused
                    && planned.copy.is_none()
                    && !numbers.contains(&other)
            };
            class && fate.may_become(0) && fate.planned.iter().enumerate().any(missing)
        };
        let why = [
            (life != self.life || !self.alive, "its pipeline is gone"),
            (!ours, "its partition is no longer ours"),
            (!fate.judged, "it has no verdict"),
            (numbers.iter().any(wrong), "one of these records is written already, or never to be"),
            (numbers.iter().any(early), "an emission before it is not durable"),
        ];
        let why = why.into_iter().find(|(is, _)| *is).map(|(_, why)| why.to_owned());
        why.or_else(|| numbers.iter().zip(records).find_map(|(number, record)| fate.fault_of(*number, record)))
    }

    fn same_topic(&self, fate: &Fate, one: usize, other: usize) -> bool {
        fate.planned[one].topic == fate.planned[other].topic
    }

    /// A record is in its topic, whatever the pipeline is told.
    pub(in super::super) fn durable(&mut self, topic: &'static str, record: &Record, written: &Written) {
        let Some((index, number)) = self.record(topic, record) else { return };
        let assignment = self.fates[index].assignment;
        self.fates[index].planned[number].copy = Some(Copy { assignment, told: false });
        if topic == RETRY {
            self.parked(index, Partition::new(topic, written.partition), written.position);
        }
    }

    /// The pipeline is told how a write ended.
    pub(in super::super) fn written(
        &mut self,
        index: usize,
        topic: &str,
        records: &[Record],
        answers: &[Result<Option<Written>, WriteError>],
    ) {
        let fate = &mut self.fates[index];
        let (mut unavailable, mut refused) = (answers.len() < records.len(), false);
        for (record, answer) in records.iter().zip(answers) {
            let id = record.headers.text(header::ID).map(MessageId::given);
            let is_it = |planned: &&mut Planned| planned.topic == topic && Some(&planned.id) == id.as_ref();
            let Some(planned) = fate.planned.iter_mut().find(is_it) else { continue };
            match answer {
                Ok(_) => {
                    planned.acked = true;
                    planned.copy = planned.copy.map(|copy| Copy { told: true, ..copy });
                }
                Err(WriteError::Refused { .. }) if planned.refused => refused = true,
                Err(WriteError::Refused { .. }) if topic == RETRY => (refused, fate.park_refused) = (true, true),
                Err(_) => unavailable = true,
            }
        }
        let stuck = unavailable && !refused;
        fate.doing = if stuck { Doing::Stuck { since: Instant::now() } } else { Doing::Publishing };
        let (name, how) = (fate.name(), if stuck { "unavailable" } else { "answered" });
        self.note(format_args!("{name} {how}"));
        self.see_whether_settled(index);
    }

    pub(super) fn see_whether_settled(&mut self, index: usize) {
        let fate = &mut self.fates[index];
        if fate.doing == Doing::Publishing && fate.is_enough(|planned| planned.acked) {
            (fate.doing, fate.settled) = (Doing::Nothing, Some(fate.assignment));
            let name = fate.name();
            self.note(format_args!("{name} settled"));
        }
    }
}
