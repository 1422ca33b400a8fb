//! Counts how many of something each address holds. An address that holds nothing is not in the table, so the table
//! is never larger than the number of things that are held.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ipnet::IpNet;

use crate::server::gate::client_address::Client;

/// One thing that is limited by address.
#[derive(Debug)]
pub(super) struct Holders {
    /// The limit of an IPv4 address, or of an IPv6 `/64`.
    narrow: usize,
    /// The limit of an IPv6 `/48`.
    wide: usize,
    held: Mutex<HashMap<IpNet, usize>>,
}

/// Counts one thing for an address, until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    holders: Arc<Holders>,
    client: Client,
}

impl Holders {
    pub(super) fn new(narrow: usize, wide: usize) -> Arc<Self> {
        Arc::new(Self {
            narrow,
            wide,
            held: Mutex::default(),
        })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<IpNet, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more for an address; `None` if the address has its share.
    pub(super) fn give(self: &Arc<Self>, client: Client) -> Option<Held> {
        let mut held = self.held();
        let has = |key: &IpNet| held.get(key).copied().unwrap_or(0);
        let wide = client.wide();
        if has(&client.narrow()) >= self.narrow || wide.is_some_and(|wide| has(&wide) >= self.wide)
        {
            return None;
        }
        for key in [Some(client.narrow()), wide].into_iter().flatten() {
            *held.entry(key).or_default() += 1;
        }
        Some(Held {
            holders: Arc::clone(self),
            client,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.holders.held();
        for key in [Some(self.client.narrow()), self.client.wide()] {
            let Some(key) = key else { continue };
            if let Some(count) = held.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    held.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;

    fn client(address: &str) -> Client {
        Client::at(Some(SocketAddr::new(address.parse().unwrap(), 1)))
    }

    #[test]
    fn an_address_has_its_share_and_leaves_the_rest_to_others() {
        let holders = Holders::new(2, 3);
        let first = holders.give(client("1.1.1.1"));
        assert!(first.is_some());
        let _second = holders.give(client("::ffff:1.1.1.1")).unwrap();
        assert!(holders.give(client("1.1.1.1")).is_none());
        assert!(holders.give(client("1.1.1.2")).is_some());
        drop(first);
        assert!(holders.give(client("1.1.1.1")).is_some());
    }

    #[test]
    fn many_networks_of_one_site_share() {
        let holders = Holders::new(2, 3);
        let held: Vec<_> = ["a::1", "a::2", "a:0:0:1::1", "a:0:0:2::1"]
            .map(|address| holders.give(client(address)))
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(held.len(), 3, "the site has its share");
        assert!(holders.give(client("a:0:1::1")).is_some(), "another site");
    }

    proptest! {
        /// After any sequence of taking and giving back, the table contains exactly what is held.
        #[test]
        fn nothing_is_left_of_who_holds_nothing(steps: Vec<(bool, u8)>) {
            let holders = Holders::new(3, 6);
            let mut held = Vec::new();
            for (gives, who) in steps {
                if gives {
                    let address = format!("{:x}:0:0:{:x}::1", 1 + who % 3, who % 5);
                    held.extend(holders.give(client(&address)));
                } else if !held.is_empty() {
                    held.swap_remove(usize::from(who) % held.len());
                }
                let narrow: usize = {
                    let table = holders.held();
                    table.iter().filter(|(key, _)| key.prefix_len() == 64).map(|(_, n)| n).sum()
                };
                prop_assert_eq!(narrow, held.len());
                let keeps_to_limits = holders.held().iter().all(|(key, count)| {
                    let limit = if key.prefix_len() == 64 { 3 } else { 6 };
                    (1..=limit).contains(count)
                });
                prop_assert!(keeps_to_limits);
            }
            held.clear();
            prop_assert!(holders.held().is_empty());
        }
    }
}
