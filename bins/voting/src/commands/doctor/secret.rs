//! Checks that the log accepts the services' secret. With another secret each voter would count once more, so a
//! service takes no ballots.

use voting_core::{
    SecretKey,
    backends::{redis::Redis, sqlite::FileContent},
    model::secret::Fingerprint,
};
use voting_service::{Kept, resolve_secret};

use super::Visit;
use crate::commands::report::Finding;

const CHECK: &str = "secret";

pub(super) async fn of_redis(visit: &mut Visit<'_>, redis: &Redis) {
    let is_used = visit.services.iter().any(|service| service.uses_secret());
    // A secret that is not set, or cannot be read, has its own line.
    let ours = visit.config.secret().ok().filter(|_| is_used);
    if let Some(there) = visit.look(CHECK, redis.allowed_secrets()).await {
        visit.add(compared(ours.as_ref(), &there.unwrap_or_default()));
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
    let ours = ours.map(|found| found.key);
    // Before the first ballot, another secret may replace it.
    let finding = match content.queue.accepted {
        0 => compared(ours.as_ref(), &[]),
        1.. => compared(ours.as_ref(), &content.secrets),
    };
    visit.add(finding);
}

fn compared(ours: Option<&SecretKey>, there: &[Fingerprint]) -> Finding {
    let texts: Vec<_> = there.iter().map(ToString::to_string).collect();
    let allowed = texts.join(", ");
    match ours.map(SecretKey::fingerprint) {
        _ if there.is_empty() => Finding::ok(
            CHECK,
            "the log is not held to a secret yet; the first vote service sets it",
        ),
        Some(ours) if there.contains(&ours) => Finding::ok(
            CHECK,
            format!("its fingerprint {ours} is the one to which the log is held"),
        ),
        Some(ours) => Finding::fail(
            CHECK,
            format!(
                "the secret here has the fingerprint {ours}, and ballots in the log were cast under {allowed}: \
                 no service takes ballots with it, since these voters would count again"
            ),
            "give all services the secret under which voting began; how to change it on purpose is under \
             \"Changing the secret\" in docs/operations.md",
        ),
        None => Finding::ok(
            CHECK,
            format!(
                "the log is held to the one with the fingerprint {allowed}; here is none that can be compared"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::report::Level;

    #[test]
    fn another_secret_than_the_logs_is_a_failure() {
        let [one, two] = [1, 2].map(|byte| SecretKey::new([byte; 32]).unwrap());
        let level = |ours, there: &[&SecretKey]| {
            let there: Vec<_> = there.iter().map(|secret| secret.fingerprint()).collect();
            compared(ours, &there).level
        };
        assert_eq!(level(Some(&one), &[&one]), Level::Ok);
        assert_eq!(level(Some(&one), &[&two, &one]), Level::Ok);
        assert_eq!(level(Some(&one), &[&two]), Level::Fail);
        assert_eq!(level(Some(&one), &[]), Level::Ok);
        assert_eq!(level(None, &[&two]), Level::Ok);
    }
}
