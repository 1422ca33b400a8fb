//! The servers and the services, each behind cables of its own, so that a fault of one is no fault of
//! another.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use tokio::sync::Mutex;
use voting_testing::{PostgresServer, RedisServer};

use crate::{
    cast::{Cable, End, Service},
    disk::{ForgetfulDisk, NoFuse},
    link::Link,
    player::Player,
    processes::runs,
};

/// The secret that signs cookies and receipts.
pub(crate) const SECRET: &str = "the secret of the torture run, 32 bytes or more";
/// Opens the operator's API.
pub const TOKEN: &str = "the token of the torture run, 32 bytes or more";

/// After this time without an acknowledgement another worker takes over.
pub const CLAIM_TIMEOUT: Duration = Duration::from_millis(1_000);

/// A server, and the disk that it is on.
#[derive(Debug)]
pub struct Server<S> {
    /// The server.
    pub server: S,
    /// Where power cuts can be made.
    pub disk: Option<Arc<ForgetfulDisk>>,
    data: PathBuf,
    /// Where the data is without such a disk.
    _folder: Option<TempDir>,
}

impl Server<RedisServer> {
    /// If nobody has ended it and it runs no longer. Then it is down.
    pub fn found_dead(&mut self) -> Option<String> {
        (!runs(self.server.id())).then(|| {
            self.server.stop();
            "Redis has ended by itself".to_owned()
        })
    }
}

impl Server<PostgresServer> {
    /// If nobody has ended it and it runs no longer. Then it is down.
    pub fn found_dead(&mut self) -> Option<String> {
        (!runs(self.server.id())).then(|| {
            self.server.stop();
            "Postgres has ended by itself".to_owned()
        })
    }
}

/// What to play with.
#[derive(Debug)]
pub struct Props {
    /// The folder with `voting-vote` and `voting-result`.
    pub programs: PathBuf,
    /// The worker, which may be a broken one.
    pub worker: PathBuf,
    /// Where the services log.
    pub logs: PathBuf,
    /// Whether Redis is set up to be durable.
    pub durable: bool,
}

/// All of it. Who holds the lock of a part has it for itself.
#[derive(Debug)]
pub struct Stage {
    /// The services.
    pub players: BTreeMap<Service, Arc<Mutex<Player>>>,
    /// Who makes the weather on a cable holds its lock.
    pub cables: BTreeMap<Cable, Arc<Mutex<Arc<Link>>>>,
    /// The log.
    pub redis: Arc<Mutex<Server<RedisServer>>>,
    /// The store.
    pub postgres: Arc<Mutex<Server<PostgresServer>>>,
    /// Why there are no power cuts.
    pub no_fuse: Option<NoFuse>,
}

impl Stage {
    /// Starts everything.
    ///
    /// # Errors
    /// There are no ports, or no files.
    ///
    /// # Panics
    /// A server or a service does not start.
    pub async fn set(props: &Props) -> io::Result<Self> {
        let (disks, no_fuse) = match disks() {
            Ok(disks) => (Some(disks), None),
            Err(error) => (None, Some(error)),
        };
        let (redis_disk, postgres_disk) = disks.unzip();
        let (durable, logs) = (props.durable, props.logs.clone());
        let (redis, postgres) =
            off(move || (redis(redis_disk, durable, &logs), postgres(postgres_disk))).await;

        let redis_at = address_of(&redis.server.url());
        let postgres_at = address_of(&postgres.server.url("voting"));
        let mut stage = Self {
            players: BTreeMap::new(),
            cables: BTreeMap::new(),
            redis: Arc::new(Mutex::new(redis)),
            postgres: Arc::new(Mutex::new(postgres)),
            no_fuse,
        };
        for which in Service::all() {
            let mut links = BTreeMap::new();
            for end in which.ends() {
                let link = Arc::new(Link::new().await?);
                match end {
                    End::Users => {}
                    End::Redis => link.leads_to(redis_at),
                    End::Postgres => link.leads_to(postgres_at),
                }
                let cable = Cable {
                    service: which,
                    end: *end,
                };
                stage
                    .cables
                    .insert(cable, Arc::new(Mutex::new(Arc::clone(&link))));
                links.insert(*end, link);
            }
            let mut player = Player::new(which, props, &links);
            let player = off(move || {
                player.start();
                player
            });
            let player = Arc::new(Mutex::new(player.await));
            stage.players.insert(which, player);
        }
        Ok(stage)
    }

    /// Whether what is not synced can be lost.
    pub async fn has_power_cuts(&self) -> bool {
        self.redis.lock().await.disk.is_some()
    }

    /// Which processes have ended by themselves.
    pub async fn found_dead(&self) -> Vec<String> {
        let mut dead = Vec::new();
        for player in self.players.values() {
            dead.extend(player.lock().await.found_dead());
        }
        dead.extend(self.redis.lock().await.found_dead());
        dead.extend(self.postgres.lock().await.found_dead());
        dead
    }

    /// Asks all services to end, when all is well. What is wrong with how they did.
    pub async fn stop_services(&self) -> Vec<String> {
        let mut ending = Vec::new();
        for (which, player) in &self.players {
            let mut player = Arc::clone(player).lock_owned().await;
            // All at once, as on a machine that goes down.
            ending.push((which, tokio::task::spawn_blocking(move || player.stop())));
        }
        let mut wrong = Vec::new();
        for (which, ended) in ending {
            match ended.await {
                Ok(ended) => wrong.extend(ended.and_then(|ended| ended.wrong_when_all_is_well())),
                Err(_) => wrong.push(format!("{which}, asked to end, does not")),
            }
        }
        wrong
    }

    /// Ends the servers, and leaves their data in a folder, by their names.
    ///
    /// # Errors
    /// It cannot be copied.
    pub async fn keep(&self, folder: &Path) -> io::Result<()> {
        let mut redis = self.redis.lock().await;
        let mut postgres = self.postgres.lock().await;
        redis.server.stop();
        postgres.server.stop();
        for (data, name) in [(&redis.data, "redis"), (&postgres.data, "postgres")] {
            let mut copy = Command::new("cp");
            let copied = copy.arg("-a").arg(data).arg(folder.join(name)).status()?;
            if !copied.success() {
                let what = format!("the data of {name} cannot be kept");
                return Err(io::Error::other(what));
            }
        }
        Ok(())
    }

    /// Where a service is reached, whether it runs or not.
    pub async fn address(&self, service: Service) -> String {
        let front = Cable {
            service,
            end: End::Users,
        };
        format!("http://{}", self.cables[&front].lock().await.address())
    }
}

/// Runs what waits where it does not hold up others.
async fn off<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

fn disks() -> Result<(ForgetfulDisk, ForgetfulDisk), NoFuse> {
    Ok((ForgetfulDisk::mount()?, ForgetfulDisk::mount()?))
}

fn redis(disk: Option<ForgetfulDisk>, durable: bool, logs: &Path) -> Server<RedisServer> {
    let log = logs.join("redis.log").to_string_lossy().into_owned();
    let mut settings = vec!["--logfile", &log];
    if !durable {
        settings.extend(["--appendfsync", "everysec"]);
    }
    on_disk(disk, |data| RedisServer::start_in(data, &settings))
}

fn postgres(disk: Option<ForgetfulDisk>) -> Server<PostgresServer> {
    on_disk(disk, |data| {
        let server = PostgresServer::start_in(data);
        server.database("voting");
        server
    })
}

fn on_disk<S>(disk: Option<ForgetfulDisk>, start: impl FnOnce(&Path) -> S) -> Server<S> {
    let folder = disk
        .is_none()
        .then(|| tempfile::tempdir().expect("a folder"));
    let data = match (&disk, &folder) {
        (Some(disk), _) => disk.path().to_owned(),
        (None, Some(folder)) => folder.path().to_owned(),
        (None, None) => unreachable!("one of them is there"),
    };
    let server = start(&data);
    Server {
        server,
        disk: disk.map(|disk| {
            // What made the server may not have been synced.
            disk.sync_all();
            Arc::new(disk)
        }),
        data,
        _folder: folder,
    }
}

/// The address in a URL of a server on this machine.
pub(crate) fn address_of(url: &str) -> SocketAddr {
    let port = url
        .split(['/', '@'])
        .find_map(|part| part.rsplit_once(':')?.1.parse().ok());
    (Ipv4Addr::LOCALHOST, port.expect("a port")).into()
}
