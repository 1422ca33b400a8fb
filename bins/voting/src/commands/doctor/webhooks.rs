//! Checks that messages arrive at the webhooks.

use voting_core::{
    backends::postgres::Postgres,
    store::{WebhookStore, webhooks::Webhook},
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
    let site: Vec<_> = webhook.url.split('/').take(3).collect();
    format!("{} ({})", site.join("/"), webhook.id)
}

fn judge(webhooks: &[Webhook]) -> Finding {
    let check = "webhooks";
    let disabled = webhooks.iter().filter_map(|webhook| {
        let by = webhook.disabled?.by;
        let by_itself = by != voting_core::store::webhooks::DisabledBy::Host;
        by_itself.then(|| format!("{} is disabled ({})", name(webhook), by.as_str()))
    });
    let failing = webhooks.iter().filter_map(|webhook| {
        let since = webhook.failing_since?;
        (webhook.disabled.is_none()).then(|| format!("{} fails since {since}", name(webhook)))
    });
    let wrong: Vec<_> = disabled.chain(failing).collect();
    if wrong.is_empty() {
        return Finding::ok(check, format!("{}, none fails", webhooks.len()));
    }
    Finding::warn(
        check,
        wrong.join("; "),
        "look at its messages on the host's page (/webhooks); mend the receiver, then enable the webhook",
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
    fn what_fails_or_is_disabled_by_itself_is_told_without_its_path() {
        let webhook = Webhook::new("https://example.org/secret".into(), "".into(), Vec::new());
        let attempt = |outcome| Attempt {
            at: Moment::now(),
            result: "503".to_owned(),
            outcome,
        };
        assert!(format!("{:?}", judge(std::slice::from_ref(&webhook))).contains("none fails"));
        let failing = webhook.after(&attempt(Outcome::Failed(None)));
        let told = format!("{:?}", judge(&[failing]));
        assert!(
            told.contains("fails since") && !told.contains("secret"),
            "{told}"
        );
        let gone = webhook.after(&attempt(Outcome::Gone));
        assert!(format!("{:?}", judge(&[gone])).contains("disabled (gone)"));
    }
}
