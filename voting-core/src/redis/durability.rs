//! Whether Redis keeps what it acknowledges.

use std::collections::HashMap;

use super::Redis;
use crate::error::StoreError;

/// The settings without which an acknowledged ballot can be lost.
const NEEDED: [(&str, &str); 4] = [
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("no-appendfsync-on-rewrite", "no"),
    ("maxmemory-policy", "noeviction"),
];

pub(super) async fn check(redis: &Redis) -> Result<(), StoreError> {
    if redis.0.options.accept_loss {
        return Ok(redis.0.connection.ask(&::redis::cmd("PING")).await?);
    }
    let mut get = ::redis::cmd("CONFIG");
    get.arg("GET");
    for (name, _) in NEEDED {
        get.arg(name);
    }
    let there: HashMap<String, String> = redis.0.connection.ask(&get).await?;
    let wrong: Vec<_> = NEEDED
        .into_iter()
        .filter(|(name, value)| there.get(*name).map(String::as_str) != Some(value))
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(StoreError::unavailable(format!(
        "Redis can lose acknowledged ballots: it needs {}",
        wrong.join(", ")
    )))
}
