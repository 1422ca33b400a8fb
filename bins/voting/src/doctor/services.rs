//! The services that were named: whether they can be reached, and are ready.

use voting_load::{Unreachable, ask};

use super::Visit;
use crate::report::Finding;

pub(super) async fn check(visit: &mut Visit<'_>, name: &str, urls: &[String]) {
    for url in urls {
        let answer = tokio::time::timeout(visit.patience, ask(url, "/readyz")).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(Unreachable(format!(
                "no answer within {} s",
                visit.patience.as_secs()
            )))
        });
        visit.add(told(name, url, answer));
    }
}

fn told(name: &str, url: &str, answer: Result<(u16, String), Unreachable>) -> Finding {
    let check = "service";
    match answer {
        Ok((200, _)) => Finding::ok(check, format!("the {name} at {url} is ready")),
        Ok((status, body)) => Finding::fail(
            check,
            format!(
                "the {name} at {url} is not ready ({status}{})",
                detail(&body)
            ),
            "see its log for the reason, and the lines above",
        ),
        Err(error) => Finding::fail(
            check,
            format!("the {name} at {url} does not answer: {error}"),
            "start it; it listens on this machine only unless its listen setting says otherwise",
        ),
    }
}

/// What a problem document says.
fn detail(body: &str) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let detail = problem
        .as_ref()
        .and_then(|problem| problem["detail"].as_str());
    detail
        .map(|detail| format!(": {detail}"))
        .unwrap_or_default()
}
