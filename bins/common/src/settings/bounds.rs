//! Checks that values are within their bounds.

use poem::http::uri::{Scheme, Uri};
use voting_core::model::poll::MAX_RETENTION_DAYS;

use crate::settings::{config::Config, course, log};

/// The bounds of one setting.
pub(crate) struct Bounds {
    pub(crate) key: &'static str,
    /// The bounds in words, after "is not". The reference of the settings shows them too.
    pub(crate) range: &'static str,
    is_within: fn(&Config) -> bool,
}

/// This is more than a process can have, and less than a counter can hold.
const MOST_CONNECTIONS: usize = 1_000_000;

/// Whether this is a valid share of connections or streams. With none, an address would be locked out; with more than
/// all, it could lock out the others.
fn is_share(share: Option<usize>, of: usize) -> bool {
    share.is_none_or(|share| (1..=of).contains(&share))
}

/// The bounds of all settings that have bounds.
pub(crate) const BOUNDS: [Bounds; 32] = [
    Bounds {
        key: "vote.max_connections",
        range: "in 1 to 1000000",
        is_within: |all| (1..=MOST_CONNECTIONS).contains(&all.vote.max_connections),
    },
    Bounds {
        key: "result.max_connections",
        range: "in 1 to 1000000",
        is_within: |all| (1..=MOST_CONNECTIONS).contains(&all.result.max_connections),
    },
    Bounds {
        key: "vote.max_connections_per_address",
        range: "in 1 to vote.max_connections",
        is_within: |all| {
            is_share(
                all.vote.max_connections_per_address,
                all.vote.max_connections,
            )
        },
    },
    Bounds {
        key: "result.max_connections_per_address",
        range: "in 1 to result.max_connections",
        is_within: |all| {
            is_share(
                all.result.max_connections_per_address,
                all.result.max_connections,
            )
        },
    },
    Bounds {
        key: "streams.max",
        range: "in 1 to result.max_connections",
        is_within: |all| is_share(all.streams.max, all.result.max_connections),
    },
    Bounds {
        key: "streams.max_per_address",
        range: "in 1 to streams.max",
        is_within: |all| {
            let most = all.streams.max.unwrap_or(all.result.max_connections);
            is_share(all.streams.max_per_address, most)
        },
    },
    Bounds {
        key: "streams.life_s",
        range: "in 60 to 86400",
        is_within: |all| (60..=86_400).contains(&all.streams.life_s),
    },
    Bounds {
        key: "worker.event_days",
        range: "in 1 to 3650",
        is_within: |all| all.worker.event_days.get() <= 3_650,
    },
    Bounds {
        key: "worker.session_idle_minutes",
        range: "in 1 to 720",
        is_within: |all| all.worker.session_idle_minutes.get() <= 720,
    },
    Bounds {
        key: "new_voters.burst",
        range: "in 1 to 1000000",
        is_within: |all| all.new_voters.burst.get() <= 1_000_000,
    },
    Bounds {
        key: "new_voters.per_minute",
        range: "in 1 to 1000000",
        is_within: |all| all.new_voters.per_minute.get() <= 1_000_000,
    },
    Bounds {
        key: "new_voters.poll_per_minute",
        range: "in 1 to 1000000",
        is_within: |all| {
            let rate = all.new_voters.poll_per_minute;
            rate.is_none_or(|rate| rate.get() <= 1_000_000)
        },
    },
    Bounds {
        key: "new_voters.poll_burst",
        range: "in 1 to 1000000",
        is_within: |all| all.new_voters.poll_burst.get() <= 1_000_000,
    },
    Bounds {
        key: "proof_of_work.above_per_minute",
        range: "in 1 to 1000000",
        is_within: |all| {
            let rate = all.proof_of_work.above_per_minute;
            rate.is_none_or(|rate| rate.get() <= 1_000_000)
        },
    },
    Bounds {
        key: "proof_of_work.burst",
        range: "in 1 to 1000000",
        is_within: |all| all.proof_of_work.burst.get() <= 1_000_000,
    },
    Bounds {
        key: "proof_of_work.attempts",
        range: "in 1 to 100000000",
        is_within: |all| all.proof_of_work.attempts.get() <= 100_000_000,
    },
    Bounds {
        key: "proof_of_work.wait_s",
        range: "in 1 to 600",
        is_within: |all| (1..=600).contains(&all.proof_of_work.wait_s),
    },
    Bounds {
        key: "login.session_minutes",
        range: "in 1 to 525600",
        is_within: |all| all.login.session_minutes.get() <= 525_600,
    },
    Bounds {
        key: "worker.max_ballots",
        range: "in 1 to 100000",
        is_within: |all| (1..=100_000).contains(&all.worker.max_ballots),
    },
    Bounds {
        key: "worker.max_wait_ms",
        range: "in 0 to 10000",
        // This is far below the time after which the log considers a worker dead.
        is_within: |all| all.worker.max_wait_ms <= 10_000,
    },
    Bounds {
        key: "worker.min_wait_ms",
        range: "in 0 to 10000",
        is_within: |all| all.worker.min_wait_ms <= 10_000,
    },
    Bounds {
        key: "drain_delay_ms",
        range: "in 0 to 10000",
        // This delay and the steps after it must fit in the 30 s that supervisors commonly give.
        is_within: |all| all.drain_delay_ms <= 10_000,
    },
    Bounds {
        key: "entry_version",
        range: "in 1 to 2",
        is_within: |all| {
            let version = all.entry_version;
            version.is_none_or(|version| (1..=2).contains(&version))
        },
    },
    Bounds {
        key: "retention_days",
        range: "in 1 to 36500",
        is_within: |all| {
            let days = all.retention_days;
            days.is_none_or(|days| (1..=MAX_RETENTION_DAYS).contains(&days))
        },
    },
    Bounds {
        key: "forget_voters_days",
        range: "in 0 to 36500",
        is_within: |all| {
            let days = all.forget_voters_days;
            days.is_none_or(|days| days <= MAX_RETENTION_DAYS)
        },
    },
    Bounds {
        key: "redis.shards",
        range: "in 1 to 65535",
        is_within: |all| all.redis.shards != 0,
    },
    Bounds {
        key: "redis.replicas",
        range: "in 0 to 8",
        is_within: |all| all.redis.replicas <= 8,
    },
    Bounds {
        key: "redis.cluster",
        range: "false where redis.sentinels are set: the nodes of a cluster find the new master themselves",
        is_within: |all| {
            let has_sentinels = all.redis.sentinels.is_some() || all.redis.sentinels_file.is_some();
            !(all.redis.cluster && has_sentinels)
        },
    },
    Bounds {
        key: "postgres.connections",
        range: "in 1 to 1000",
        is_within: |all| (1..=1_000).contains(&all.postgres.connections),
    },
    Bounds {
        key: "redis.claim_timeout_ms",
        range: "500 or more, and twice worker.max_wait_ms or more",
        is_within: |all| {
            all.redis.claim_timeout_ms >= 500
                && all.redis.claim_timeout_ms >= all.worker.max_wait_ms.saturating_mul(2)
        },
    },
    Bounds {
        key: "traces.sample_ratio",
        range: "in 0 to 1",
        is_within: |all| (0.0..=1.0).contains(&all.traces.sample_ratio),
    },
    Bounds {
        key: "traces.endpoint",
        range: "an address that begins with http://, without a user name, such as http://127.0.0.1:4318",
        is_within: |all| all.traces.endpoint.as_deref().is_none_or(is_http),
    },
];

impl Config {
    /// Returns a message for each value that is out of its bounds, with the setting.
    pub(crate) fn faults(&self) -> Vec<(&'static str, String)> {
        let outside = BOUNDS.iter().filter(|bounds| !(bounds.is_within)(self));
        let mut faults: Vec<_> = outside
            .map(|Bounds { key, range, .. }| (*key, format!("{key} is not {range}")))
            .collect();
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
        // A password in the address would be shown.
        let named = uri.authority().is_some_and(|at| at.as_str().contains('@'));
        uri.scheme() == Some(&Scheme::HTTP) && uri.query().is_none() && !named
    })
}
