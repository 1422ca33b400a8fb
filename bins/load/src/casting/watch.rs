//! Follows the event stream of the result service, as one viewer does.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::sync::watch;

use crate::http::{Connection, Place, get};

/// The pause between two attempts to follow the stream.
const PAUSE: Duration = Duration::from_millis(200);

/// What the stream showed last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) voters: u64,
    pub(crate) at: Instant,
}

#[derive(Deserialize)]
struct Tally {
    voters: u64,
}

/// Follows the stream for ever. If it breaks off, it connects again.
pub(crate) async fn follow(place: Place, poll: String, shown: watch::Sender<Option<Shown>>) {
    loop {
        let _ = follow_once(&place, &poll, &shown).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn follow_once(
    place: &Place,
    poll: &str,
    shown: &watch::Sender<Option<Shown>>,
) -> Option<()> {
    let mut connection = Connection::open(place).await.ok()?;
    let request = get(place, &format!("/v1/polls/{poll}/tally/events"));
    let answer = connection.send(request).await.ok()?;
    let mut body = answer.into_body();
    let mut text = Vec::new();
    loop {
        let frame = body.frame().await?.ok()?;
        let at = Instant::now();
        text.extend_from_slice(&frame.into_data().unwrap_or_default());
        while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = text.drain(..end + 2).collect();
            if let Some(voters) = voters(&event) {
                shown.send_replace(Some(Shown { voters, at }));
            }
        }
    }
}

/// The number of voters in an event; `None` for a comment.
fn voters(event: &[u8]) -> Option<u64> {
    let event = std::str::from_utf8(event).ok()?;
    let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
    Some(serde_json::from_str::<Tally>(data).ok()?.voters)
}
