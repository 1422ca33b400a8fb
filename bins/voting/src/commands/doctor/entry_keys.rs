//! By which keys the log's entries are signed, and whether an old key can be dropped.

use std::collections::BTreeMap;

use voting_core::{
    backends::redis::{Redis, SignedBy},
    log::entry_keys::EntryKeys,
};

use voting_service::Service;

use super::{Visit, count_of};
use crate::commands::report::Finding;

const CHECK: &str = "entry keys";
const POLLS: &str = "published polls";

/// The entries of one key, in all shards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Entries {
    all: u64,
    /// In how many shards some of them wait to be counted.
    waiting: usize,
}

/// Only for workers: the others need no right to read entries.
pub(super) async fn check(visit: &mut Visit<'_>, redis: &Redis) {
    if !visit.is_for(Service::Worker) {
        return;
    }
    // Faults in keys have their own lines.
    let Ok(ours) = visit.config.entry_secrets() else {
        return;
    };
    let mut found: BTreeMap<Option<u8>, Entries> = BTreeMap::new();
    for shard in redis.shard_ids() {
        let Some(keys) = visit.look(CHECK, redis.signed_by(shard)).await else {
            return;
        };
        // A log that nobody has used has its own line.
        let Ok(Some(report)) = visit.ask(redis.inspect(shard)).await else {
            return;
        };
        for SignedBy { key, entries, last } in keys {
            let found = found.entry(key).or_default();
            found.all += entries;
            found.waiting += usize::from(last >= report.acknowledged_below);
        }
    }
    let current = ours.current.map(|key| EntryKeys::id_of(&key.key));
    let others: Vec<_> = ours
        .others
        .iter()
        .map(|key| EntryKeys::id_of(&key.key))
        .collect();
    let signs = visit.config.entry_version != Some(1);
    let signing = current.filter(|_| signs);
    for finding in findings(signing, current, &others, &found) {
        visit.add(finding);
    }
    if let Some(signing) = signing
        && let Some(by) = visit.look(POLLS, redis.polls_signed_by()).await
    {
        let refuses = !visit.config.accept_unsigned_entries;
        visit.add(signature_of_polls(signing, by, refuses));
    }
}

/// Checks the signature of the copy of the polls that vote services read.
fn signature_of_polls(signing: u8, by: Option<u8>, refuses_unsigned: bool) -> Finding {
    match by {
        Some(by) if by == signing => Finding::ok(POLLS, format!("signed under key {by}")),
        Some(by) => Finding::warn(
            POLLS,
            format!(
                "signed under key {by}, and a worker with these settings signs with key {signing}"
            ),
            "start a worker with these settings; until then all services need that key",
        ),
        None if refuses_unsigned => Finding::warn(
            POLLS,
            "not signed: vote services that accept only what is signed do not use them, unless there are no polls",
            "start a worker with an entry key; if one runs, find out who else writes to Redis",
        ),
        None => Finding::ok(
            POLLS,
            "not signed: either there are none, or no worker with an entry key has published them",
        ),
    }
}

fn findings(
    signing: Option<u8>,
    current: Option<u8>,
    others: &[u8],
    found: &BTreeMap<Option<u8>, Entries>,
) -> Vec<Finding> {
    let mut findings = vec![Finding::ok(
        CHECK,
        match signing {
            Some(key) => format!("with these settings a vote service signs entries with key {key}"),
            None => "with these settings a vote service does not sign entries".to_owned(),
        },
    )];
    for (key, entries) in found {
        let there = count_of(entries.all, "entry").replace("entrys", "entries");
        let Some(key) = key else {
            findings.push(Finding::ok(
                CHECK,
                format!("the log has {there} without a signature"),
            ));
            continue;
        };
        let known = current == Some(*key) || others.contains(key);
        findings.push(if known && others.contains(key) {
            let until = "keep it until the log has no such entry: a rewind hands them out again";
            Finding::ok(CHECK, format!("the log has {there} of key {key}; {until}"))
        } else if known {
            Finding::ok(CHECK, format!("the log has {there} of key {key}"))
        } else if entries.waiting > 0 {
            Finding::fail(
                CHECK,
                format!("the log has {there} of key {key}, which is not here, and some wait to be counted"),
                "name the file of this key in other_entry_key_files of all workers, and start them again",
            )
        } else {
            Finding::warn(
                CHECK,
                format!("the log has {there} of key {key}, which is not here; all are counted"),
                "keep this key: after a rewind, workers need it in other_entry_key_files",
            )
        });
    }
    for key in others {
        if !found.contains_key(&Some(*key)) {
            findings.push(Finding::ok(
                CHECK,
                format!(
                    "the log has no entry of key {key}: if this is the old key, and no vote service signs with it, \
                     remove it from other_entry_key_files"
                ),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::report::Level;

    #[test]
    fn the_signature_of_the_polls_is_reported() {
        let reported = |by, refuses| {
            let finding = signature_of_polls(7, by, refuses);
            (finding.level, finding.found)
        };
        assert_eq!(reported(Some(7), true).0, Level::Ok);
        let (level, found) = reported(Some(8), false);
        assert_eq!(level, Level::Warn);
        assert!(found.contains("key 8"), "{found}");
        assert_eq!(reported(None, true).0, Level::Warn);
        assert_eq!(reported(None, false).0, Level::Ok);
    }

    #[test]
    fn a_key_that_is_needed_and_not_here_is_a_failure() {
        let of = |key, all, waiting| (key, Entries { all, waiting });
        let found = BTreeMap::from([
            of(None, 1, 0),
            of(Some(1), 7, 1),
            of(Some(2), 5, 0),
            of(Some(3), 4, 2),
            of(Some(4), 2, 0),
        ]);
        let findings = findings(Some(1), Some(1), &[2, 9], &found);
        let reported: Vec<_> = findings
            .iter()
            .map(|finding| (finding.level, finding.found.as_str()))
            .collect();
        let levels: Vec<_> = reported.iter().map(|(level, _)| *level).collect();
        use Level::{Fail, Ok, Warn};
        assert_eq!(levels, [Ok, Ok, Ok, Ok, Fail, Warn, Ok], "{reported:?}");
        assert!(reported[1].1.contains("1 entry without"), "{reported:?}");
        assert!(reported[3].1.contains("keep it"), "{reported:?}");
        assert!(reported[6].1.contains("no entry of key 9"), "{reported:?}");
    }
}
