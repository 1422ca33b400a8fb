//! Checks that the log accepts the services' secrets, and says which step is next while one takes the place of another. A
//! service that lacks a secret of the log takes no ballots: each voter of that secret would count once more.

use voting_core::{
    Poll,
    backends::{redis::Redis, sqlite::FileContent},
    model::{
        poll_key::PollKeyWrap,
        secret::Fingerprint,
        secrets::{KnownSecrets, LogSecrets, Secrets},
    },
};
use voting_service::{Kept, resolve_secret};

use super::{Visit, count_of};
use crate::commands::report::Finding;

const CHECK: &str = "secret";

/// Where the docs say how.
const DOCS: &str = "\"Changing the secret\" in docs/operations.md";

pub(super) async fn of_redis(visit: &mut Visit<'_>, redis: &Redis) {
    let is_used = visit.services.iter().any(|service| service.uses_secret());
    // A secret that is not set, or cannot be read, has its own line.
    let ours = visit.config.secrets().ok().filter(|_| is_used);
    if let Some(there) = visit.look(CHECK, redis.log_secrets()).await {
        for finding in compared(ours.as_ref(), &there) {
            visit.add(finding);
        }
    }
}

pub(super) fn of_file(visit: &mut Visit<'_>, content: &FileContent) {
    let config = visit.config;
    let kept = Kept {
        path: &config.beside_database("secret"),
        may_make: false,
    };
    let (value, file) = (config.secret.as_ref(), config.secret_file.as_deref());
    let ours = resolve_secret("secret", value, file, Some(kept)).ok();
    let ours = ours.and_then(|found| config.with_other_secrets(&found.key).ok());
    // Before the first ballot, another secret may replace it.
    let findings = match content.queue.accepted {
        0 => compared(ours.as_ref(), &LogSecrets::default()),
        1.. => compared(ours.as_ref(), &content.secrets),
    };
    for finding in findings {
        visit.add(finding);
    }
    if let Some(finding) = ours.and_then(|ours| of_poll_keys(&ours, &content.polls)) {
        visit.add(finding);
    }
}

/// In the all-in-one, the keys of polls are wrapped under the secret.
fn of_poll_keys(ours: &Secrets, polls: &[Poll]) -> Option<Finding> {
    let wrap = PollKeyWrap::of_secrets(ours);
    let keyed = polls
        .iter()
        .filter_map(|poll| Some((poll.id(), poll.wrapped_key()?)));
    let (mut older, mut unreadable) = (0, Vec::new());
    for (poll, key) in keyed {
        match wrap.rewrap(poll, key) {
            Ok(None) => {}
            Ok(Some(_)) => older += 1,
            Err(_) => unreadable.push(poll.to_string()),
        }
    }
    if !unreadable.is_empty() {
        let polls = unreadable.join(", ");
        return Some(Finding::fail(
            CHECK,
            format!(
                "nobody can vote in {polls}: the key of the poll is wrapped under a secret that is not here"
            ),
            "name the file of that secret in other_secret_files, and start the program once: it wraps the keys under the \
             current secret",
        ));
    }
    (older > 0).then(|| {
        Finding::ok(
            CHECK,
            format!(
                "the keys of {} are wrapped under another secret; the next start wraps them under the current one. Only then \
                 remove the other one",
                count_of(older, "poll")
            ),
        )
    })
}

fn in_a_row(secrets: &[Fingerprint]) -> String {
    let texts: Vec<_> = secrets.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

fn compared(ours: Option<&Secrets>, there: &LogSecrets) -> Vec<Finding> {
    let accepted = in_a_row(&there.accepted);
    if there.accepted.is_empty() {
        return vec![Finding::ok(
            CHECK,
            "the log is not held to a secret yet; the first vote service sets it",
        )];
    }
    let Some(ours) = ours.map(Secrets::known) else {
        return vec![Finding::ok(
            CHECK,
            format!("the log accepts {accepted}; here is none that can be compared"),
        )];
    };
    let first = match there.admit(&ours) {
        Err(_) => lacking(&ours, there),
        Ok(Some(next)) if next.accepted.len() <= there.accepted.len() => drops(&ours, there),
        Ok(Some(_)) => adds(&ours, &accepted),
        Ok(None) => accepts(&ours, there),
    };
    let dropped = there.no_longer_accepted();
    let needless = ours.others.iter().copied();
    let needless: Vec<_> = needless.filter(|other| dropped.contains(other)).collect();
    let mut findings = vec![first];
    if !needless.is_empty() {
        findings.push(Finding::ok(
            CHECK,
            format!(
                "other_secret_files has {}, which the log does not accept any more: receipts are still read with it, until it is \
                 removed",
                in_a_row(&needless)
            ),
        ));
    }
    findings
}

/// The service would take no ballots.
fn lacking(ours: &KnownSecrets, there: &LogSecrets) -> Finding {
    let unread = there.accepted.iter().copied();
    let unread: Vec<_> = unread.filter(|secret| !ours.reads(*secret)).collect();
    Finding::fail(
        CHECK,
        format!(
            "the secret here has the fingerprint {}, and ballots in the log were cast under {}, which is not here: no service \
             takes ballots with these settings, since these voters would count again",
            ours.current,
            in_a_row(&unread)
        ),
        format!(
            "name the file of that secret in other_secret_files, or in secret_file if it is the one under which voting began; how \
             to change the secret is under {DOCS}"
        ),
    )
}

/// All services read both secrets. The first one with these settings makes cookies under the new one.
fn adds(ours: &KnownSecrets, accepted: &str) -> Finding {
    Finding::ok(
        CHECK,
        format!(
            "step 2 of changing the secret begins with these settings: the first vote service makes cookies under {}; the log \
             accepts {accepted} so far. From then on, a service takes ballots only if it has both",
            ours.current
        ),
    )
}

/// The first service with these settings drops a secret.
fn drops(ours: &KnownSecrets, there: &LogSecrets) -> Finding {
    let unread = there.accepted.iter().copied();
    let unread: Vec<_> = unread.filter(|secret| !ours.reads(*secret)).collect();
    let unread = in_a_row(&unread);
    Finding::warn(
        CHECK,
        format!(
            "step 3 of changing the secret begins with these settings: the first vote service drops {unread}. Voters who have not \
             come since step 2 are then asked to start over"
        ),
        format!(
            "check that no vote service makes cookies under {unread} any more, and that no poll is open whose voters may still \
             come; otherwise leave its file in other_secret_files"
        ),
    )
}

/// Nothing changes with these settings.
fn accepts(ours: &KnownSecrets, there: &LogSecrets) -> Finding {
    let current = ours.current;
    let dropped = there.no_longer_accepted();
    let others = ours.others.iter().copied();
    let next: Vec<_> = others
        .filter(|other| !there.accepted.contains(other) && !dropped.contains(other))
        .collect();
    let accepted = there.accepted.iter().copied();
    let rest: Vec<_> = accepted.filter(|secret| *secret != current).collect();
    let is_last = there.accepted.last() == Some(&current);
    Finding::ok(
        CHECK,
        match (rest.is_empty(), next.is_empty()) {
            (true, true) => {
                format!("its fingerprint {current} is the one to which the log is held")
            }
            (true, false) => format!(
                "step 1 of changing the secret: these settings make cookies under {current}, and also read {}. Once all vote and \
                 result services have both, make the new one secret_file, and name the old one in other_secret_files",
                in_a_row(&next)
            ),
            (false, _) if is_last => format!(
                "step 2 of changing the secret: cookies are made under {current}, and those of {} are read and replaced when their \
                 voters come. Remove the old one from other_secret_files once all vote services have these settings and no poll \
                 is open whose voters may still come",
                in_a_row(&rest)
            ),
            (false, _) => format!(
                "step 2 of changing the secret has begun: a vote service makes cookies under {}, and with these settings one makes \
                 them under {current}, which is read as well. Give all services the settings of step 2",
                in_a_row(&rest)
            ),
        },
    )
}

#[cfg(test)]
mod tests {
    use voting_core::SecretKey;

    use super::*;
    use crate::commands::report::Level;

    fn secrets(current: u8, others: &[u8]) -> Secrets {
        let secret = |byte| SecretKey::new([byte; 32]).unwrap();
        let others = others.iter().map(|byte| secret(*byte));
        others.fold(Secrets::new(secret(current)), Secrets::reading)
    }

    fn log(accepted: &[u8], dropped: &[u8]) -> LogSecrets {
        let prints = |bytes: &[u8]| {
            let prints = bytes.iter().map(|byte| secrets(*byte, &[]).known().current);
            prints.collect()
        };
        LogSecrets {
            accepted: prints(accepted),
            dropped: prints(dropped),
        }
    }

    #[test]
    fn another_secret_than_the_logs_is_a_failure() {
        let level = |ours: Option<Secrets>, there: &[u8]| {
            compared(ours.as_ref(), &log(there, &[]))[0].level
        };
        let one = || Some(secrets(1, &[]));
        assert_eq!(level(one(), &[1]), Level::Ok);
        assert_eq!(level(one(), &[2]), Level::Fail);
        // Others make cookies under a newer one by now.
        assert_eq!(level(one(), &[1, 2]), Level::Fail);
        assert_eq!(level(one(), &[]), Level::Ok);
        assert_eq!(level(None, &[2]), Level::Ok);
    }

    #[test]
    fn each_step_says_which_one_is_next() {
        for (current, others, accepted, dropped, level, said) in [
            (
                1,
                [2].as_slice(),
                [1].as_slice(),
                [].as_slice(),
                Level::Ok,
                "step 1",
            ),
            (
                2,
                &[1],
                &[1],
                &[],
                Level::Ok,
                "step 2 of changing the secret begins",
            ),
            (2, &[1], &[1, 2], &[], Level::Ok, "Remove the old one"),
            (1, &[2], &[1, 2], &[], Level::Ok, "has begun"),
            (2, &[], &[1, 2], &[], Level::Warn, "step 3"),
            (2, &[], &[2], &[1], Level::Ok, "to which the log is held"),
            (2, &[1], &[2], &[1], Level::Ok, "to which the log is held"),
            (1, &[], &[2], &[1], Level::Fail, "which is not here"),
        ] {
            let ours = secrets(current, others);
            let found = compared(Some(&ours), &log(accepted, dropped));
            let case = format!("{current} {others:?} {accepted:?}: {:?}", found[0].found);
            assert_eq!(found[0].level, level, "{case}");
            assert!(found[0].found.contains(said), "{case}");
        }
        let both = compared(Some(&secrets(2, &[1])), &log(&[2], &[1]));
        assert!(both[1].found.contains("does not accept any more"));
    }

    #[test]
    fn the_key_of_a_poll_under_a_secret_that_is_not_here_is_a_failure() {
        let poll = Poll::builder("p", "Which?").option("a", "A");
        let poll = poll.option("b", "B").build().unwrap();
        let key = PollKeyWrap::of_secrets(&secrets(1, &[])).make(poll.id());
        let polls = [poll.with_key(key.unwrap())];
        let level = |current, others| {
            let finding = of_poll_keys(&secrets(current, others), &polls);
            finding.map(|finding| finding.level)
        };
        assert_eq!(level(1, &[2]), None);
        assert_eq!(level(2, &[1]), Some(Level::Ok));
        assert_eq!(level(2, &[]), Some(Level::Fail));
    }
}
