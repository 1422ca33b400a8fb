//! Reports clients that were turned away: in a metric, and in the log once a minute, wrong tokens one by one up to a
//! limit.

use std::fmt;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use voting_core::PollId;

use crate::{problem::seldom::Seldom, server::gate::client_address::Client};

/// Why a client was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Why {
    /// All places for connections are taken. The client gets one short answer.
    Connections,
    /// The address has its share of the connections. The client gets one short answer if the reserve has space.
    ConnectionsOfAddress,
    /// All places for event streams are taken.
    Streams,
    /// The address has its share of the event streams.
    StreamsOfAddress,
    /// The operator's token was wrong.
    WrongToken,
    /// The code of a voter was wrong.
    WrongCode,
    /// The token with which a voter signs in was wrong, or the answer with which a host comes back from the provider.
    WrongLogin,
    /// A form was sent from a page of another origin.
    OtherOrigin,
    /// Too many voters without an earlier vote came from one address.
    NewVoters,
    /// Too many voters without an earlier vote came to one poll.
    NewVotersOfPoll,
    /// So many came that a proof is needed, and there was none.
    ProofNeeded,
}

const ALL: [Why; 11] = [
    Why::Connections,
    Why::ConnectionsOfAddress,
    Why::Streams,
    Why::StreamsOfAddress,
    Why::WrongToken,
    Why::WrongCode,
    Why::WrongLogin,
    Why::OtherOrigin,
    Why::NewVoters,
    Why::NewVotersOfPoll,
    Why::ProofNeeded,
];

/// The number of wrong tokens a minute that are logged one by one, each with its address. More would let a stranger fill the log.
const TOKEN_LINES: u64 = 30;

impl Why {
    fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ConnectionsOfAddress => "connections_of_address",
            Self::Streams => "streams",
            Self::StreamsOfAddress => "streams_of_address",
            Self::WrongToken => "wrong_token",
            Self::WrongCode => "wrong_code",
            Self::WrongLogin => "wrong_login",
            Self::OtherOrigin => "other_origin",
            Self::NewVoters => "new_voters",
            Self::NewVotersOfPoll => "new_voters_of_poll",
            Self::ProofNeeded => "proof_needed",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Connections => {
                "all places for connections are taken; further ones get one short answer each \
                 (max_connections)"
            }
            Self::ConnectionsOfAddress => {
                "one address holds its share of the connections; further ones of it get one short \
                 answer each. If it is a proxy of yours, name it in trusted_proxies \
                 (max_connections_per_address)"
            }
            Self::Streams => {
                "all places for event streams are taken; further viewers see the result without \
                 live changes (streams.max)"
            }
            Self::StreamsOfAddress => {
                "one address holds its share of the event streams; further viewers there see the \
                 result without live changes. If it is a proxy of yours, name it in trusted_proxies \
                 (streams.max_per_address)"
            }
            Self::WrongToken => "somebody shows wrong operator's tokens",
            Self::WrongCode => "somebody enters wrong codes of a poll",
            Self::WrongLogin => {
                "somebody fails to sign in at the identity provider, or with its tokens"
            }
            Self::OtherOrigin => {
                "votes are refused since they seem to come from another site's page. If `origin` is \
                 the address that voters use, set vote.public_url to it: a proxy has changed the \
                 header Host"
            }
            Self::NewVoters => {
                "votes are refused because too many new voters came from one address. If it is a proxy of \
                 yours, name it in trusted_proxies; if it is a hall, raise new_voters.burst, or set \
                 new_voters.limited to false"
            }
            Self::NewVotersOfPoll => {
                "votes are refused because too many new voters came to one poll. If they are people, raise \
                 new_voters.poll_per_minute, or name the poll in new_voters.unlimited_polls"
            }
            Self::ProofNeeded => {
                "very many new voters come to one poll, so they are asked for a proof of work \
                 (proof_of_work.above_per_minute)"
            }
        }
    }
}

impl EncodeLabelValue for Why {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&self.name(), encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: Why,
}

#[derive(Debug)]
pub(super) struct TurnedAway {
    pub(super) connections: Gauge,
    limit: Gauge,
    turned_away: Family<Reason, Counter>,
    lines: [Seldom; ALL.len()],
}

impl TurnedAway {
    pub(super) fn new(max_connections: usize) -> Self {
        let limit = Gauge::default();
        limit.set(i64::try_from(max_connections).unwrap_or(i64::MAX));
        let turned_away = Family::<Reason, Counter>::default();
        // The counters begin at 0. If a counter began with its first event, Prometheus would see no growth.
        for reason in ALL {
            drop(turned_away.get_or_create(&Reason { reason }));
        }
        Self {
            connections: Gauge::default(),
            limit,
            turned_away,
            lines: ALL.map(|why| match why {
                Why::WrongToken => Seldom::up_to(TOKEN_LINES),
                _ => Seldom::default(),
            }),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "voting_connections",
            "Open connections",
            self.connections.clone(),
        );
        registry.register(
            "voting_connections_limit",
            "The most connections at a time, without the reserve for short visits",
            self.limit.clone(),
        );
        registry.register(
            "voting_turned_away",
            "Refused connections, event streams and requests, by reason: a limit was reached, or a token, \
             code or sign-in was not valid",
            self.turned_away.clone(),
        );
    }

    /// Counts one event. If a log line is due, returns the number of events since the last line.
    fn count(&self, why: Why) -> Option<u64> {
        self.turned_away
            .get_or_create(&Reason { reason: why })
            .inc();
        let mut lines = ALL.iter().zip(&self.lines);
        let (_, line) = lines.find(|(reason, _)| **reason == why)?;
        line.due().map(|held_back| held_back + 1)
    }

    pub(super) fn turned_away(&self, why: Why, client: Client) {
        if let Some(times) = self.count(why) {
            tracing::warn!(address = %client, times, reason = why.name(), "{}", why.in_words());
        }
    }

    /// The same for what concerns a poll and not an address.
    pub(super) fn turned_away_from(&self, poll: &PollId, why: Why) {
        if let Some(times) = self.count(why) {
            tracing::warn!(%poll, times, reason = why.name(), "{}", why.in_words());
        }
    }

    pub(super) fn other_origin(&self, origin: &str, host: &str) {
        let why = Why::OtherOrigin;
        if let Some(times) = self.count(why) {
            let short = |text: &str| text.chars().take(200).collect::<String>();
            let (origin, host) = (short(origin), short(host));
            tracing::warn!(
                origin,
                host,
                times,
                reason = why.name(),
                "{}",
                why.in_words()
            );
        }
    }
}
