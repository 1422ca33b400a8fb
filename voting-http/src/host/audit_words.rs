//! The entries of the audit log in words.

use serde_json::Value;
use voting_core::store::audit::AuditNote;

/// The fields of a poll in the audit log, with their names for people. Those of its settings follow.
const FIELDS: [(&str, &str); 3] = [
    ("title", "the question"),
    ("options", "the options"),
    ("max_choices", "the number of choices"),
];

const SETTINGS: [(&str, &str); 16] = [
    ("description", "the description"),
    ("option_descriptions", "the descriptions of options"),
    ("opens_at", "when it opens"),
    ("closes_at", "when it closes"),
    ("time_zone", "the time zone"),
    ("results", "who sees the result"),
    ("voters", "who may vote"),
    ("groups", "the groups that may vote"),
    ("email_domains", "the e-mail domains that may vote"),
    ("revote", "whether votes can be changed"),
    ("blank", "whether a vote can be blank"),
    ("order", "the order of the options"),
    ("listed", "whether it is listed"),
    ("language", "the language"),
    ("retention_days", "how long it is kept"),
    ("forget_voters_days", "when its voters are forgotten"),
];

fn read(json: Option<&str>) -> Value {
    let read = json.and_then(|json| serde_json::from_str(json).ok());
    read.unwrap_or_default()
}

/// The names of what differs between two versions of a poll.
fn differences(before: &Value, after: &Value) -> Vec<&'static str> {
    let of_poll = FIELDS
        .iter()
        .filter(|(field, _)| before[field] != after[field]);
    let (before, after) = (&before["settings"], &after["settings"]);
    let of_settings = SETTINGS
        .iter()
        .filter(|(field, _)| before[field] != after[field]);
    let both = of_poll.chain(of_settings);
    both.map(|(_, name)| *name).collect()
}

/// Names in a sentence: `a`, `a and b`, `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [many @ .., last] => format!("{} and {last}", many.join(", ")),
    }
}

/// What was done, as the beginning of a sentence that ends with who did it.
pub(super) fn words(note: &AuditNote) -> String {
    let (before, after) = (read(note.before.as_deref()), read(note.after.as_deref()));
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    match note.action.as_str() {
        "poll.created" if after["state"] == "draft" => "Draft made".to_owned(),
        "poll.created" => "Poll made".to_owned(),
        "poll.changed" => {
            let is_published = before["state"] == "draft" && after["state"] != "draft";
            let changed = listed(&differences(&before, &after));
            match (is_published, changed.is_empty()) {
                (true, true) => "Poll published".to_owned(),
                (true, false) => format!("Poll published, and changed: {changed}"),
                (false, true) => "Poll changed".to_owned(),
                (false, false) => format!("Poll changed: {changed}"),
            }
        }
        "poll.times-confirmed" => "New times have reached the whole ballot log".to_owned(),
        "poll.times-taken-back" => {
            "New times have not reached the whole ballot log: the earlier ones hold".to_owned()
        }
        "poll.closing" => "Poll closed".to_owned(),
        "poll.final" => "All ballots counted: the result is final".to_owned(),
        "poll.archived" => "Poll put into the archive".to_owned(),
        "poll.unarchived" => "Poll taken out of the archive".to_owned(),
        "poll.voters-forgotten" => "Voters of the poll forgotten".to_owned(),
        "poll.deleted" => "Poll deleted".to_owned(),
        "poll.restored" => "Poll put back into the store".to_owned(),
        "poll.exported" => match after["ballots"].as_u64() {
            Some(1) => "1 ballot taken out as a file".to_owned(),
            Some(ballots) => format!("{ballots} ballots taken out as a file"),
            None => "Ballots taken out as a file".to_owned(),
        },
        "ballots.handed-in" => "Votes handed in for voters".to_owned(),
        "ballots.voided" => format!("Votes voided: {}", text(&after["reason"])),
        "ballots.voiding-undone" => {
            format!("Voided votes count again: rule {} undone", before["number"])
        }
        "dead_letter.replayed" => "Dead letter counted".to_owned(),
        "token.added" => format!(
            "Token of {} made, with the role {}",
            text(&after["name"]),
            text(&after["role"])
        ),
        "session.began" => format!("Signed in as {}", text(&after["role"])),
        "session.ended" => "Signed out".to_owned(),
        "token.revoked" => format!("Token of {} revoked", text(&before["name"])),
        "webhook.added" => format!("Webhook to {} made", text(&after["site"])),
        "webhook.changed" => format!("Webhook to {} changed", text(&after["site"])),
        "webhook.secret_changed" => {
            format!("New secret of the webhook to {}", text(&after["site"]))
        }
        "webhook.enabled" => format!("Webhook to {} enabled", text(&after["site"])),
        "webhook.disabled" => format!("Webhook to {} disabled", text(&after["site"])),
        "webhook.events_sent_again" => {
            format!(
                "Events sent again to the webhook to {}",
                text(&after["site"])
            )
        }
        "webhook.removed" => format!("Webhook to {} removed", text(&after["site"])),
        // Of a newer program.
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(action: &str, before: Option<&str>, after: Option<&str>) -> AuditNote {
        AuditNote {
            by: "anna".to_owned(),
            action: action.to_owned(),
            poll: None,
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        }
    }

    #[test]
    fn what_was_changed_of_a_poll_is_named() {
        let changed =
            |before: &str, after: &str| words(&note("poll.changed", Some(before), Some(after)));
        let draft = r#"{"title":"A","state":"draft","settings":{}}"#;
        let open = r#"{"title":"A","state":"open","settings":{}}"#;
        let other = r#"{"title":"B","state":"open","settings":{"closes_at":"x","listed":false}}"#;
        assert_eq!(changed(draft, open), "Poll published");
        assert_eq!(
            changed(open, other),
            "Poll changed: the question, when it closes and whether it is listed"
        );
        assert_eq!(
            changed(draft, other),
            "Poll published, and changed: the question, when it closes and whether it is listed"
        );
        assert_eq!(
            words(&note("poll.changed", None, Some("{"))),
            "Poll changed"
        );
    }

    #[test]
    fn each_action_has_words() {
        let token = r#"{"name":"bert","role":"host"}"#;
        let made = words(&note("token.added", None, Some(token)));
        assert_eq!(made, "Token of bert made, with the role host");
        let revoked = words(&note("token.revoked", Some(token), None));
        assert_eq!(revoked, "Token of bert revoked");
        let draft = Some(r#"{"state":"draft"}"#);
        assert_eq!(words(&note("poll.created", None, draft)), "Draft made");
        for action in [
            "poll.created",
            "poll.times-confirmed",
            "poll.times-taken-back",
            "poll.closing",
            "poll.final",
            "poll.archived",
            "poll.unarchived",
            "poll.voters-forgotten",
            "poll.deleted",
            "poll.restored",
            "poll.exported",
            "ballots.handed-in",
            "ballots.voided",
            "ballots.voiding-undone",
            "dead_letter.replayed",
            "webhook.added",
            "webhook.changed",
            "webhook.secret_changed",
            "webhook.enabled",
            "webhook.disabled",
            "webhook.events_sent_again",
            "webhook.removed",
        ] {
            let words = words(&note(action, None, None));
            assert!(
                !words.contains('.') && words.contains(' '),
                "{action}: {words}"
            );
        }
        assert_eq!(words(&note("of.tomorrow", None, None)), "of.tomorrow");
    }
}
