//! How often an address may do something: at once as often as a burst, then again each time an interval
//! is over (GCRA). One number an address, in a table that does not grow without bound.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use ipnet::IpNet;

use crate::server::gate::client_address::Client;

/// Some 2 MB.
const MAX_KEYS: usize = 32_768;

/// How many entries are looked at for one to forget, when there is no room.
const LOOKED_AT: usize = 16;

/// The sites of IPv6 may do as much as this many of their networks.
const WIDE: u32 = 8;

/// One thing whose pace is limited by address.
#[derive(Debug)]
pub(super) struct Pace {
    burst: u32,
    interval: Duration,
    begin: Instant,
    max_keys: usize,
    /// Until when an address is busy with what it did, in nanoseconds since `begin`. The hash is
    /// seeded, so nobody can choose addresses that make it slow.
    busy_until: Mutex<HashMap<IpNet, u64>>,
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

    /// Notes that it is done once more.
    ///
    /// # Errors
    /// It is not: the address has to wait for so long first.
    pub(super) fn once_more(&self, client: Client) -> Result<(), Duration> {
        self.once_more_at(client, self.begin.elapsed())
    }

    fn once_more_at(&self, client: Client, now: Duration) -> Result<(), Duration> {
        let (now, interval) = (nanos(now), nanos(self.interval));
        let keys = [
            Some((client.narrow(), interval)),
            client.wide().map(|wide| (wide, interval / u64::from(WIDE))),
        ];
        let keys = keys.into_iter().flatten();
        let mut table = self
            .busy_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Twice, so that what one of the two refuses is not charged to the other.
        let burst = interval.saturating_mul(self.burst.into());
        for (key, step) in keys.clone() {
            let until = next_of(&table, &key, now).saturating_add(step);
            let wait = until.saturating_sub(now.saturating_add(burst));
            if wait > 0 {
                return Err(Duration::from_nanos(wait));
            }
        }
        for (key, step) in keys {
            let until = next_of(&table, &key, now).saturating_add(step);
            if !table.contains_key(&key) && table.len() >= self.max_keys {
                make_room(&mut table, now);
            }
            table.insert(key, until);
        }
        Ok(())
    }
}

/// When the address is done with what it did.
fn next_of(table: &HashMap<IpNet, u64>, key: &IpNet, now: u64) -> u64 {
    table.get(key).copied().unwrap_or(0).max(now)
}

/// Forgets those that may do as they like, else one that has the least to wait.
fn make_room(table: &mut HashMap<IpNet, u64>, now: u64) {
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
        let at = |ms| pace.once_more_at(client([1, 1, 1, 1]), Duration::from_millis(ms));
        assert_eq!([at(0), at(0), at(0)], [Ok(()); 3]);
        assert_eq!(at(0), Err(SECOND));
        assert_eq!(at(400), Err(Duration::from_millis(600)));
        assert_eq!(at(1_000), Ok(()));
        assert!(at(1_000).is_err());
        // The burst is there again after a while.
        assert_eq!([at(9_000), at(9_000), at(9_000)], [Ok(()); 3]);
        let other = pace.once_more_at(client([1, 1, 1, 2]), Duration::ZERO);
        assert_eq!(other, Ok(()));
    }

    #[test]
    fn a_site_with_many_networks_is_slowed_down_as_one() {
        let pace = Pace::new(2, SECOND);
        let mut through = 0;
        for network in 0..1_000 {
            let address: std::net::Ipv6Addr = format!("a:0:0:{network:x}::1").parse().unwrap();
            through += u32::from(pace.once_more_at(client(address), Duration::ZERO).is_ok());
        }
        assert_eq!(through, 2 * WIDE);
    }

    proptest! {
        /// In no span of time does an address do more than the burst and one for each interval.
        #[test]
        fn nobody_is_faster_than_the_pace(
            burst in 1u32..10,
            steps in prop::collection::vec((0u64..3_000, 0u8..3), 1..300),
        ) {
            let pace = Pace::new(burst, SECOND);
            let (mut now, mut done) = (0, vec![Vec::new(); 3]);
            for (wait, who) in steps {
                now += wait;
                let asked = pace.once_more_at(client([1, 1, 1, who]), Duration::from_millis(now));
                let done = &mut done[usize::from(who)];
                match asked {
                    Ok(()) => done.push(now),
                    // Told too early never, and let through then.
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
                    let _ = pace.once_more_at(client(*address), Duration::from_millis(at * 50));
                }
            }
            prop_assert!(pace.busy_until.lock().unwrap().len() <= 32);
        }
    }
}
