//! Webhooks: where events are sent to, and what came of it.

use askama::Template;
use poem::Response;
use voting_core::store::{
    events::EventKind,
    webhooks::{Condition, Delivery, DisabledBy, Webhook},
};

use super::{Frame, Visit, see, times};
use crate::{operator::webhooks::Wanted, pages::templates::render, problem::Problem};

/// The deliveries on one page.
const ON_A_PAGE: usize = 50;

/// A webhook in the list.
struct Row {
    id: String,
    /// Its note, or else its address.
    name: String,
    url: String,
    state: String,
    is_well: bool,
}

/// What is in the form.
#[derive(Default)]
struct Filled {
    url: String,
    note: String,
    types: Vec<String>,
    /// Why it was not taken.
    error: Option<String>,
}

/// A secret that was just made.
struct NewSecret {
    text: String,
    /// What it is for.
    of: String,
    /// Until when the one before it signs too.
    both_until: Option<String>,
}

#[derive(Template)]
#[template(path = "host/webhooks.html")]
struct ListPage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    rows: Vec<Row>,
    filled: Filled,
}

/// A delivery in the list.
struct Sent {
    id: String,
    number: u64,
    kind: String,
    state: String,
    /// When it was last sent, or else when it was made.
    at: String,
    result: Option<String>,
}

#[derive(Template)]
#[template(path = "host/webhook.html")]
struct WebhookPage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    row: Row,
    is_disabled: bool,
    sent: Vec<Sent>,
    /// The last one on this page, if there are more.
    next: Option<String>,
    filled: Filled,
    secret: Option<NewSecret>,
}

/// What an event says, in words.
fn words(kind: EventKind) -> &'static str {
    match kind {
        EventKind::PollCreated => "A poll is made.",
        EventKind::PollChanged => "A poll is changed.",
        EventKind::PollOpened => "Voters can vote.",
        EventKind::PollClosing => "Voting has ended. The last votes are being counted.",
        EventKind::PollFinal => "All votes are counted.",
        EventKind::PollDeleted => "A poll is deleted.",
        EventKind::DeadLetterCreated => "Ballots could not be counted.",
        EventKind::CountBehind => "The count is behind.",
        EventKind::CountCaughtUp => "The count is no longer behind.",
        EventKind::TallyChanged => {
            "Votes have come, at most once a minute. Not while the result is hidden."
        }
        _ => "",
    }
}

impl Filled {
    /// The types that a host can choose.
    fn types(&self) -> [(&'static str, &'static str); EventKind::ALL.len()] {
        EventKind::ALL.map(|kind| (kind.as_str(), words(kind)))
    }

    fn has(&self, name: &str) -> bool {
        self.types.iter().any(|chosen| chosen == name)
    }

    fn of(visit: &Visit, error: Option<String>) -> Self {
        let Wanted { url, note, types } = wanted(visit);
        Self {
            url,
            note,
            types,
            error,
        }
    }
}

fn wanted(visit: &Visit) -> Wanted {
    Wanted {
        url: visit.form.text("url").to_owned(),
        note: visit.form.text("note").to_owned(),
        types: visit.form.all("type").map(str::to_owned).collect(),
    }
}

fn state(webhook: &Webhook) -> String {
    let since = |at| times::for_people(at, None);
    match webhook.condition() {
        Condition::Disabled(disabled) => {
            let why = match disabled.by {
                DisabledBy::Gone => {
                    "The receiver has answered that it wants no more messages (410)."
                }
                DisabledBy::Failures => "Nothing could be delivered for 5 days.",
                _ => "A host has disabled it.",
            };
            format!("Disabled since {}. {why}", since(disabled.at))
        }
        Condition::Failing(at) => {
            format!("Messages fail since {}. They are sent again.", since(at))
        }
        Condition::Well => "Enabled.".to_owned(),
    }
}

fn row(webhook: &Webhook) -> Row {
    let name = match webhook.note.as_str() {
        "" => &webhook.url,
        note => note,
    };
    Row {
        id: webhook.id.to_string(),
        name: name.to_owned(),
        url: webhook.url.clone(),
        state: state(webhook),
        is_well: webhook.condition() == Condition::Well,
    }
}

fn sent(delivery: &Delivery) -> Sent {
    let last = delivery.last.as_ref();
    let at = last.map_or(delivery.created_at, |last| last.at);
    let state = match (delivery.due, delivery.delivered, delivery.attempts) {
        (Some(_), _, 0) => "Waits".to_owned(),
        (Some(due), _, attempts) => format!(
            "Failed {attempts} times, next attempt {}",
            times::for_people(due, None)
        ),
        (None, true, _) => "Delivered".to_owned(),
        (None, false, attempts) => format!("Given up after {attempts} attempts"),
    };
    Sent {
        id: delivery.id.to_string(),
        number: delivery.number,
        kind: delivery.kind.clone(),
        state: state.replace("Failed 1 times", "Failed once"),
        at: times::for_people(at, None),
        result: last.map(|last| last.result.clone()),
    }
}

async fn list(visit: &Visit, filled: Filled) -> Result<ListPage, Problem> {
    let webhooks = visit.parts().service.all_webhooks().await?;
    let frame = visit.frame();
    Ok(ListPage {
        base: frame.base.clone(),
        assets_version: frame.assets_version,
        frame,
        rows: webhooks.iter().map(row).collect(),
        filled,
    })
}

fn id(visit: &Visit) -> &str {
    visit.request.raw_path_param("webhook").unwrap_or_default()
}

async fn page(
    visit: &Visit,
    id: &str,
    filled: Option<Filled>,
    secret: Option<NewSecret>,
) -> Result<WebhookPage, Problem> {
    let service = &visit.parts().service;
    let webhook = service.webhook(id).await?;
    let before = visit.query("before");
    let deliveries = service
        .deliveries(&webhook, before.as_deref(), ON_A_PAGE)
        .await?;
    let last = deliveries.last().map(|delivery| delivery.id.to_string());
    let frame = visit.frame();
    Ok(WebhookPage {
        base: frame.base.clone(),
        assets_version: frame.assets_version,
        frame,
        row: row(&webhook),
        is_disabled: webhook.disabled.is_some(),
        next: last.filter(|_| deliveries.len() == ON_A_PAGE),
        sent: deliveries.iter().map(sent).collect(),
        filled: filled.unwrap_or(Filled {
            url: webhook.url,
            note: webhook.note,
            types: webhook.types,
            error: None,
        }),
        secret,
    })
}

/// `GET /webhooks`.
pub(super) async fn show(visit: Visit) -> Result<Response, Problem> {
    Ok(render(&list(&visit, Filled::default()).await?))
}

/// `POST /webhooks`: makes one. Only this answer has its secret, so there is no redirect.
pub(super) async fn make(visit: Visit) -> Result<Response, Problem> {
    let service = &visit.parts().service;
    match service.add_webhook(wanted(&visit), visit.by()).await {
        Ok((webhook, secret)) => {
            let secret = NewSecret {
                text: secret.expose(),
                of: row(&webhook).name,
                both_until: None,
            };
            let id = webhook.id.to_string();
            Ok(render(&page(&visit, &id, None, Some(secret)).await?))
        }
        Err(problem) => {
            let filled = Filled::of(&visit, Some(problem.detail().to_owned()));
            Ok(problem.finish(render(&list(&visit, filled).await?)))
        }
    }
}

/// `GET /webhooks/:webhook`: how it is, and what was sent to it.
pub(super) async fn one(visit: Visit) -> Result<Response, Problem> {
    Ok(render(&page(&visit, id(&visit), None, None).await?))
}

/// `POST /webhooks/:webhook`: changes it.
pub(super) async fn edit(visit: Visit) -> Result<Response, Problem> {
    let (service, id) = (&visit.parts().service, id(&visit));
    match service.edit_webhook(id, wanted(&visit), visit.by()).await {
        Ok(_) => Ok(see(
            &visit.prefix,
            &format!("/webhooks/{id}?done=webhook-saved"),
        )),
        Err(problem) => {
            let filled = Filled::of(&visit, Some(problem.detail().to_owned()));
            let page = page(&visit, id, Some(filled), None).await?;
            Ok(problem.finish(render(&page)))
        }
    }
}

/// `POST /webhooks/:webhook/enable`.
pub(super) async fn enable(visit: Visit) -> Result<Response, Problem> {
    let (service, id) = (&visit.parts().service, id(&visit));
    service.enable_webhook(id, true, visit.by()).await?;
    Ok(see(
        &visit.prefix,
        &format!("/webhooks/{id}?done=webhook-enabled"),
    ))
}

/// `POST /webhooks/:webhook/disable`.
pub(super) async fn disable(visit: Visit) -> Result<Response, Problem> {
    let (service, id) = (&visit.parts().service, id(&visit));
    service.enable_webhook(id, false, visit.by()).await?;
    Ok(see(
        &visit.prefix,
        &format!("/webhooks/{id}?done=webhook-disabled"),
    ))
}

/// `POST /webhooks/:webhook/secret`: makes another secret. Only this answer has it, so there is no redirect.
pub(super) async fn renew(visit: Visit) -> Result<Response, Problem> {
    let (service, id) = (&visit.parts().service, id(&visit));
    let (secret, until) = service.renew_webhook_secret(id, visit.by()).await?;
    let mut page = page(&visit, id, None, None).await?;
    page.secret = Some(NewSecret {
        text: secret.expose(),
        of: page.row.name.clone(),
        both_until: Some(times::for_people(until, None)),
    });
    Ok(render(&page))
}

/// `POST /webhooks/:webhook/test`.
pub(super) async fn test(visit: Visit) -> Result<Response, Problem> {
    let (service, id) = (&visit.parts().service, id(&visit));
    service.test_webhook(id).await?;
    Ok(see(
        &visit.prefix,
        &format!("/webhooks/{id}?done=webhook-tested"),
    ))
}

/// `POST /webhooks/:webhook/deliveries/:delivery/send-again`.
pub(super) async fn send_again(visit: Visit) -> Result<Response, Problem> {
    let (service, id) = (&visit.parts().service, id(&visit));
    let delivery = visit.request.raw_path_param("delivery");
    service.send_again(id, delivery.unwrap_or_default()).await?;
    Ok(see(
        &visit.prefix,
        &format!("/webhooks/{id}?done=webhook-sent-again"),
    ))
}

/// `POST /webhooks/:webhook/remove`.
pub(super) async fn remove(visit: Visit) -> Result<Response, Problem> {
    let service = &visit.parts().service;
    service.remove_webhook(id(&visit), visit.by()).await?;
    Ok(see(&visit.prefix, "/webhooks?done=webhook-removed"))
}
