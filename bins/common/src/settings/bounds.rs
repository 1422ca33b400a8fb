//! Checks that values are within their bounds.

use poem::http::uri::{Scheme, Uri};

use crate::settings::{config::Config, course, log};

impl Config {
    /// Which values are out of their bounds, each with its setting.
    pub(crate) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut unless = |is_good: bool, key: &'static str, bounds: &str| {
            if !is_good {
                faults.push((key, format!("{key} is not {bounds}")));
            }
        };
        // More than a process can have, and less than a counter can hold.
        let connections = 1..=1_000_000;
        unless(
            connections.contains(&self.vote.max_connections),
            "vote.max_connections",
            "in 1 to 1000000",
        );
        unless(
            connections.contains(&self.result.max_connections),
            "result.max_connections",
            "in 1 to 1000000",
        );
        // An address without any, or with all, would be locked out, or could lock out the others.
        let share =
            |share: Option<usize>, of: usize| share.is_none_or(|share| (1..=of).contains(&share));
        unless(
            share(
                self.vote.max_connections_per_address,
                self.vote.max_connections,
            ),
            "vote.max_connections_per_address",
            "in 1 to vote.max_connections",
        );
        unless(
            share(
                self.result.max_connections_per_address,
                self.result.max_connections,
            ),
            "result.max_connections_per_address",
            "in 1 to result.max_connections",
        );
        let most = self.result.max_connections;
        unless(
            share(self.streams.max, most),
            "streams.max",
            "in 1 to result.max_connections",
        );
        unless(
            share(
                self.streams.max_per_address,
                self.streams.max.unwrap_or(most),
            ),
            "streams.max_per_address",
            "in 1 to streams.max",
        );
        unless(
            (60..=86_400).contains(&self.streams.life_s),
            "streams.life_s",
            "in 60 to 86400",
        );
        unless(
            (1..=100_000).contains(&self.worker.max_ballots),
            "worker.max_ballots",
            "in 1 to 100000",
        );
        // Well below the time after which the log takes a worker for dead.
        unless(
            self.worker.max_wait_ms <= 10_000,
            "worker.max_wait_ms",
            "in 0 to 10000",
        );
        // With what follows it must fit in the 30 s that supervisors commonly give.
        unless(
            self.drain_delay_ms <= 10_000,
            "drain_delay_ms",
            "in 0 to 10000",
        );
        unless(self.redis.shards != 0, "redis.shards", "in 1 to 65535");
        unless(
            (1..=1_000).contains(&self.postgres.connections),
            "postgres.connections",
            "in 1 to 1000",
        );
        unless(
            self.redis.claim_timeout_ms >= 500
                && self.redis.claim_timeout_ms >= self.worker.max_wait_ms.saturating_mul(2),
            "redis.claim_timeout_ms",
            "500 or more, and twice worker.max_wait_ms or more",
        );
        unless(
            (0.0..=1.0).contains(&self.traces.sample_ratio),
            "traces.sample_ratio",
            "in 0 to 1",
        );
        unless(
            self.traces.endpoint.as_deref().is_none_or(is_http),
            "traces.endpoint",
            "an address that begins with http://, without a user name, such as http://127.0.0.1:4318",
        );
        if let Err(bad) = log::check(&self.log) {
            faults.push(("log", bad.to_string()));
        }
        let known = faults.len();
        for (key, label) in [("option_a", &self.option_a), ("option_b", &self.option_b)] {
            if let Some(Err(error)) = label.as_deref().map(course::check_label) {
                faults.push((key, format!("{key}: {error}")));
            }
        }
        if faults.len() == known
            && let Err(error) = self.course_poll(None)
        {
            faults.push(("option_b", format!("option_a and option_b: {error}")));
        }
        faults
    }
}

fn is_http(url: &str) -> bool {
    let uri = url.parse::<Uri>();
    uri.is_ok_and(|uri| {
        // A password in it would be shown.
        let named = uri.authority().is_some_and(|at| at.as_str().contains('@'));
        uri.scheme() == Some(&Scheme::HTTP) && uri.query().is_none() && !named
    })
}
