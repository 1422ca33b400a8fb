//! A private Redis Cluster.

use crate::{Clock, RedisServer, free_port, wait::await_that};

/// Three masters that share the keys, and perhaps a replica.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters.
    pub masters: Vec<RedisServer>,
    /// The replica of the first master.
    pub replica: Option<RedisServer>,
}

/// Two ports: a node's own, and the one that nodes use among themselves, which would else be 10000 higher.
fn node(more: &[&str], clock: Option<Clock>) -> RedisServer {
    let (port, bus) = (free_port(), free_port().to_string());
    let mut settings = vec![
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        // How soon the others notice that one is away.
        "--cluster-node-timeout",
        "1000",
        // While a master is away, the others go on.
        "--cluster-require-full-coverage",
        "no",
    ];
    settings.extend(more);
    let mut node = RedisServer::new(port, &settings).with_clock(clock);
    node.launch();
    node
}

impl RedisCluster {
    /// Starts it.
    pub fn start() -> Self {
        Self::start_of(std::array::from_fn(|_| node(&[], None)))
    }

    /// Starts it with masters whose clocks are ahead of the machine's by so many milliseconds, or behind it.
    pub fn start_with_clocks(shifts: [i64; 3]) -> Self {
        Self::start_of(shifts.map(|shift| node(&[], Some(Clock::ahead_by_ms(shift)))))
    }

    fn start_of(masters: [RedisServer; 3]) -> Self {
        let masters = Vec::from(masters);
        let cluster = Self {
            masters,
            replica: None,
        };
        for (index, first, last) in [(0, 0, 5_460), (1, 5_461, 10_922), (2, 10_923, 16_383)] {
            let (first, last) = (first.to_string(), last.to_string());
            cluster.masters[index].command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            // Nodes that count as of the same age would quarrel about whose word counts.
            let age = (index + 1).to_string();
            cluster.masters[index].command(&["CLUSTER", "SET-CONFIG-EPOCH", &age]);
        }
        for node in &cluster.masters[1..] {
            cluster.join(node);
        }
        for node in &cluster.masters {
            await_that("the cluster is there", || knows_of(node, 3) && is_up(node));
        }
        cluster
    }

    /// A further master, without any slot.
    pub fn add_master(&mut self) -> &RedisServer {
        let new = node(&[], None);
        self.join(&new);
        let nodes = self.masters.len() + 1;
        self.masters.push(new);
        for node in &self.masters {
            await_that("the new node is there", || {
                knows_of(node, nodes) && is_up(node)
            });
        }
        self.masters.last().expect("one")
    }

    /// A replica of the first master, with settings beside the usual ones.
    pub fn add_replica(&mut self, more: &[&str]) -> &RedisServer {
        let new = node(more, None);
        self.join(&new);
        let nodes = self.masters.len() + 1;
        await_that("the new node is known", || knows_of(&new, nodes));
        let master = self.masters[0].command(&["CLUSTER", "MYID"]);
        await_that("it knows its master", || {
            new.command(&["CLUSTER", "NODES"]).contains(&master)
        });
        new.command(&["CLUSTER", "REPLICATE", &master]);
        let is_told = |node: &RedisServer| {
            let port = new.port().to_string();
            node.command(&["CLUSTER", "SLOTS"]).contains(&port)
        };
        for node in &self.masters {
            await_that("the replica is told of", || is_told(node));
        }
        self.replica.insert(new)
    }

    fn join(&self, node: &RedisServer) {
        let bus = node.command(&["CONFIG", "GET", "cluster-port"]);
        let bus = bus.lines().nth(1).expect("its value").to_owned();
        let port = node.port().to_string();
        self.masters[0].command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
    }

    /// The index of the master that has a key.
    pub fn owner(&self, key: &str) -> usize {
        let slot = self.masters[0].command(&["CLUSTER", "KEYSLOT", key]);
        let slot: usize = slot.parse().expect("a number");
        [5_461, 10_923, 16_384]
            .iter()
            .position(|end| slot < *end)
            .expect("a slot")
    }

    /// Where clients find it: at two of its nodes, should one be away.
    pub fn url(&self) -> String {
        format!("{},{}", self.masters[0].url(), self.masters[1].url())
    }
}

fn knows_of(node: &RedisServer, nodes: usize) -> bool {
    let known = node.command(&["CLUSTER", "NODES"]);
    let connected = |line: &&str| line.contains(" connected") && !line.contains("handshake");
    known.lines().filter(connected).count() >= nodes
}

fn is_up(node: &RedisServer) -> bool {
    let info = node.command(&["CLUSTER", "INFO"]);
    info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
}
