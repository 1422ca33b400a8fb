//! Checks that messages arrive at the webhooks.

use voting_core::{
    backends::postgres::Postgres,
    store::{
        WebhookStore,
        webhooks::{Condition, DisabledBy, Webhook},
    },
};

use super::Visit;
use crate::commands::report::Finding;

pub(super) async fn check(visit: &mut Visit<'_>, postgres: &Postgres) {
    if let Some(webhooks) = visit.look("webhooks", postgres.webhooks()).await {
        visit.add(judge(&webhooks));
    }
}

/// Names a webhook without what follows the host in its address, which may be secret.
fn name(webhook: &Webhook) -> String {
    format!("{} ({})", webhook.site(), webhook.id)
}

fn judge(webhooks: &[Webhook]) -> Finding {
    let check = "webhooks";
    let wrong = webhooks
        .iter()
        .filter_map(|webhook| match webhook.condition() {
            Condition::Disabled(disabled) if disabled.by != DisabledBy::Host => Some(format!(
                "{} is disabled ({})",
                name(webhook),
                disabled.by.as_str()
            )),
            Condition::Failing(since) => Some(format!("{} fails since {since}", name(webhook))),
            _ => None,
        });
    let wrong: Vec<_> = wrong.collect();
    if wrong.is_empty() {
        return Finding::ok(check, format!("{}, none fails", webhooks.len()));
    }
    Finding::warn(
        check,
        wrong.join("; "),
        "look at its messages on the host's page (/webhooks); repair the receiver, then enable the webhook",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use voting_core::{
        model::moment::Moment,
        store::webhooks::{Attempt, Outcome},
    };

    #[test]
    fn what_fails_or_is_disabled_by_itself_is_reported_without_its_path() {
        let webhook = Webhook::new("https://example.org/secret".into(), "".into(), Vec::new());
        let attempt = |outcome| Attempt {
            at: Moment::now(),
            result: "503".to_owned(),
            outcome,
        };
        assert!(format!("{:?}", judge(std::slice::from_ref(&webhook))).contains("none fails"));
        let failing = webhook.after(&attempt(Outcome::Failed(None)));
        let reported = format!("{:?}", judge(&[failing]));
        assert!(
            reported.contains("fails since") && !reported.contains("secret"),
            "{reported}"
        );
        let gone = webhook.after(&attempt(Outcome::Gone));
        assert!(format!("{:?}", judge(&[gone])).contains("disabled (gone)"));
    }
}
