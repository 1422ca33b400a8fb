//! Limits how often an address may do something: a burst at once, then one each interval (GCRA). The table has one
//! number for each address and topic, and a fixed maximum size.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ipnet::IpNet;

use crate::server::gate::client_address::Client;

/// So many entries take some 3 MB.
const MAX_KEYS: usize = 32_768;

/// How many entries are compared to choose one to forget, when the table is full.
const LOOKED_AT: usize = 16;

/// A site of IPv6 may do as much as this many of its networks.
const WIDE: u32 = 8;

/// What an address does, such as the poll in which it votes: each topic has its own burst. It is a hash.
pub(super) type Topic = u64;

type Key = (Topic, IpNet);

/// One thing that is limited by address and time.
#[derive(Debug)]
pub(super) struct Pace {
    burst: u32,
    interval: Duration,
    begin: Instant,
    max_keys: usize,
    /// The time at which all intervals that the address has used are over, in nanoseconds since `begin`. The hash is
    /// seeded, so nobody can choose addresses that make the table slow.
    busy_until: Mutex<HashMap<Key, u64>>,
}

impl Pace {
    pub(super) fn new(burst: u32, interval: Duration) -> Self {
        Self {
            burst,
            interval,
            begin: Instant::now(),
            max_keys: MAX_KEYS,
            busy_until: Mutex::default(),
        }
    }

    /// Counts one more time.
    ///
    /// # Errors
    /// The address must wait this long first. Nothing is counted.
    pub(super) fn once_more(&self, topic: Topic, client: Client) -> Result<(), Duration> {
        self.once_more_at(topic, client, self.begin.elapsed())
    }

    /// Takes the next place in a line in which one place is free each interval. Returns how long to wait for the place.
    /// `None`: the wait would be longer than `most`, and no place is taken.
    pub(super) fn place(&self, topic: Topic, client: Client, most: Duration) -> Option<Duration> {
        self.place_at(topic, client, most, self.begin.elapsed())
    }

    fn place_at(
        &self,
        topic: Topic,
        client: Client,
        most: Duration,
        now: Duration,
    ) -> Option<Duration> {
        let (now, key) = (nanos(now), (topic, client.narrow()));
        let mut table = self.table();
        let place = next_of(&table, &key, now);
        let wait = Duration::from_nanos(place - now);
        if wait > most {
            return None;
        }
        if !table.contains_key(&key) && table.len() >= self.max_keys {
            make_room(&mut table, now);
        }
        table.insert(key, place.saturating_add(nanos(self.interval)));
        Some(wait)
    }

    /// Takes back one time that was counted.
    pub(super) fn once_less(&self, topic: Topic, client: Client) {
        let mut table = self.table();
        for (key, step) in self.steps(topic, client) {
            if let Some(until) = table.get_mut(&key) {
                *until = until.saturating_sub(step);
            }
        }
    }

    fn once_more_at(&self, topic: Topic, client: Client, now: Duration) -> Result<(), Duration> {
        let (now, interval) = (nanos(now), nanos(self.interval));
        let mut table = self.table();
        // The loop runs twice, so that nothing is charged to one key if the other key refuses.
        let burst = interval.saturating_mul(self.burst.into());
        for (key, step) in self.steps(topic, client) {
            let until = next_of(&table, &key, now).saturating_add(step);
            let wait = until.saturating_sub(now.saturating_add(burst));
            if wait > 0 {
                return Err(Duration::from_nanos(wait));
            }
        }
        for (key, step) in self.steps(topic, client) {
            let until = next_of(&table, &key, now).saturating_add(step);
            if !table.contains_key(&key) && table.len() >= self.max_keys {
                make_room(&mut table, now);
            }
            table.insert(key, until);
        }
        Ok(())
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Key, u64>> {
        self.busy_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The entries of a client, each with the time that doing it once takes, in nanoseconds.
    fn steps(&self, topic: Topic, client: Client) -> impl Iterator<Item = (Key, u64)> {
        let interval = nanos(self.interval);
        let narrow = ((topic, client.narrow()), interval);
        let wide = client.wide();
        let wide = wide.map(|wide| ((topic, wide), interval / u64::from(WIDE)));
        [Some(narrow), wide].into_iter().flatten()
    }
}

/// The time at which all intervals that the address has used are over; not before `now`.
fn next_of(table: &HashMap<Key, u64>, key: &Key, now: u64) -> u64 {
    table.get(key).copied().unwrap_or(0).max(now)
}

/// Forgets the addresses that do not have to wait. If none is found, it forgets one with a short wait.
fn make_room(table: &mut HashMap<Key, u64>, now: u64) {
    let mut some = table.iter().take(LOOKED_AT);
    let first = some.next().map(|(key, until)| (*key, *until));
    let least = some.fold(first, |least, (key, until)| match least {
        Some((_, few)) if few <= *until => least,
        _ => Some((*key, *until)),
    });
    match least {
        Some((_, until)) if until <= now => table.retain(|_, until| *until > now),
        Some((key, _)) => _ = table.remove(&key),
        None => {}
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn client(address: impl Into<IpAddr>) -> Client {
        Client::at(Some(SocketAddr::new(address.into(), 1)))
    }

    #[test]
    fn a_burst_is_let_through_and_then_one_each_interval() {
        let pace = Pace::new(3, SECOND);
        let at = |ms| pace.once_more_at(0, client([1, 1, 1, 1]), Duration::from_millis(ms));
        assert_eq!([at(0), at(0), at(0)], [Ok(()); 3]);
        assert_eq!(at(0), Err(SECOND));
        assert_eq!(at(400), Err(Duration::from_millis(600)));
        assert_eq!(at(1_000), Ok(()));
        assert!(at(1_000).is_err());
        // After a while the full burst is available again.
        assert_eq!([at(9_000), at(9_000), at(9_000)], [Ok(()); 3]);
        let other = pace.once_more_at(0, client([1, 1, 1, 2]), Duration::ZERO);
        assert_eq!(other, Ok(()));
    }

    #[test]
    fn each_topic_has_a_burst_and_what_is_taken_back_was_not_used() {
        let pace = Pace::new(2, SECOND);
        let at = |topic| pace.once_more_at(topic, client([1, 1, 1, 1]), Duration::ZERO);
        assert_eq!([at(1), at(1), at(2), at(2)], [Ok(()); 4]);
        assert!(at(1).is_err());
        pace.once_less(1, client([1, 1, 1, 1]));
        assert_eq!(at(1), Ok(()));
        assert!(at(1).is_err());
        assert!(at(2).is_err());
        // One who never came has nothing to take back.
        pace.once_less(3, client([1, 1, 1, 1]));
        assert_eq!([at(3), at(3)], [Ok(()); 2]);
        assert!(at(3).is_err());
    }

    #[test]
    fn places_come_one_each_interval_and_the_line_has_an_end() {
        let pace = Pace::new(1, SECOND);
        let at = |ms| {
            let now = Duration::from_millis(ms);
            pace.place_at(0, Client::at(None), 2 * SECOND, now)
        };
        assert_eq!(at(0), Some(Duration::ZERO));
        assert_eq!(at(0), Some(SECOND));
        assert_eq!(at(500), Some(Duration::from_millis(1_500)));
        assert_eq!(at(500), None);
        assert_eq!(at(1_000), Some(2 * SECOND));
        // Nobody waits for places that nobody took.
        assert_eq!(at(9_000), Some(Duration::ZERO));
    }

    #[test]
    fn a_site_with_many_networks_is_slowed_down_as_one() {
        let pace = Pace::new(2, SECOND);
        let mut through = 0;
        for network in 0..1_000 {
            let address: std::net::Ipv6Addr = format!("a:0:0:{network:x}::1").parse().unwrap();
            through += u32::from(
                pace.once_more_at(0, client(address), Duration::ZERO)
                    .is_ok(),
            );
        }
        assert_eq!(through, 2 * WIDE);
    }

    proptest! {
        /// In any span of time, an address does no more than the burst and one for each interval.
        #[test]
        fn nobody_is_faster_than_the_pace(
            burst in 1u32..10,
            steps in prop::collection::vec((0u64..3_000, 0u8..3), 1..300),
        ) {
            let pace = Pace::new(burst, SECOND);
            let (mut now, mut done) = (0, vec![Vec::new(); 3]);
            for (wait, who) in steps {
                now += wait;
                let asked = pace.once_more_at(0, client([1, 1, 1, who]), Duration::from_millis(now));
                let done = &mut done[usize::from(who)];
                match asked {
                    Ok(()) => done.push(now),
                    // The wait is never too short: after it, the next attempt succeeds.
                    Err(wait) => prop_assert!(wait <= SECOND * burst),
                }
                for first in 0..done.len() {
                    let (count, span) = (done.len() - first, now - done[first]);
                    prop_assert!(count as u64 <= u64::from(burst) + span / 1_000 + 1);
                }
            }
        }

        #[test]
        fn the_table_has_a_bound(addresses: Vec<[u8; 4]>, busy in 1u32..5) {
            let pace = Pace { max_keys: 32, ..Pace::new(busy, SECOND) };
            for (at, address) in (0u64..).zip(&addresses) {
                for _ in 0..busy {
                    let _ = pace.once_more_at(0, client(*address), Duration::from_millis(at * 50));
                }
            }
            prop_assert!(pace.busy_until.lock().unwrap().len() <= 32);
        }
    }
}
