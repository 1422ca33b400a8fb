//! The servers and the services, each behind cables of its own, so that a fault of one is no fault of
//! another.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use tempfile::TempDir;
use tokio::sync::Mutex;
use voting_testing::{PostgresServer, RedisServer, link::Link, processes::runs};

use crate::{
    disk::{ForgetfulDisk, NoFuse},
    process::{Config, Process, address_of},
    target::{Cable, End, ServiceId},
};

/// A server, and the disk that it is on.
#[derive(Debug)]
pub(crate) struct Server<S> {
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
    pub(crate) fn found_dead(&mut self) -> Option<String> {
        (!runs(self.server.id())).then(|| {
            self.server.stop();
            "Redis has ended by itself".to_owned()
        })
    }
}

impl Server<PostgresServer> {
    /// If nobody has ended it and it runs no longer. Then it is down.
    pub(crate) fn found_dead(&mut self) -> Option<String> {
        (!runs(self.server.id())).then(|| {
            self.server.stop();
            "Postgres has ended by itself".to_owned()
        })
    }
}

/// All of it. Who holds the lock of a part has it for itself.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The services.
    pub services: BTreeMap<ServiceId, Arc<Mutex<Process>>>,
    /// Who changes the condition of a cable holds its lock.
    pub cables: BTreeMap<Cable, Arc<Mutex<Arc<Link>>>>,
    /// The log.
    pub redis: Arc<Mutex<Server<RedisServer>>>,
    /// The store.
    pub postgres: Arc<Mutex<Server<PostgresServer>>>,
    /// Why there are no power cuts.
    pub no_fuse: Option<NoFuse>,
}

impl Cluster {
    /// Starts everything.
    ///
    /// # Errors
    /// There are no ports, or no files.
    ///
    /// # Panics
    /// A server or a service does not start.
    pub(crate) async fn start(config: &Config) -> io::Result<Self> {
        let (disks, no_fuse) = match disks() {
            Ok(disks) => (Some(disks), None),
            Err(error) => (None, Some(error)),
        };
        let (redis_disk, postgres_disk) = disks.unzip();
        let (durable, logs) = (config.durable, config.logs.clone());
        let (redis, postgres) =
            off(move || (redis(redis_disk, durable, &logs), postgres(postgres_disk))).await;

        let redis_at = address_of(&redis.server.url());
        let postgres_at = address_of(&postgres.server.url("voting"));
        let mut cluster = Self {
            services: BTreeMap::new(),
            cables: BTreeMap::new(),
            redis: Arc::new(Mutex::new(redis)),
            postgres: Arc::new(Mutex::new(postgres)),
            no_fuse,
        };
        for which in ServiceId::all() {
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
                cluster
                    .cables
                    .insert(cable, Arc::new(Mutex::new(Arc::clone(&link))));
                links.insert(*end, link);
            }
            let mut process = Process::new(which, config, &links);
            let process = off(move || {
                process.start();
                process
            });
            let process = Arc::new(Mutex::new(process.await));
            cluster.services.insert(which, process);
        }
        Ok(cluster)
    }

    /// Whether what is not synced can be lost.
    pub(crate) async fn has_power_cuts(&self) -> bool {
        self.redis.lock().await.disk.is_some()
    }

    /// Which processes have ended by themselves.
    pub(crate) async fn found_dead(&self) -> Vec<String> {
        let mut dead = Vec::new();
        for process in self.services.values() {
            dead.extend(process.lock().await.found_dead());
        }
        dead.extend(self.redis.lock().await.found_dead());
        dead.extend(self.postgres.lock().await.found_dead());
        dead
    }

    /// Asks all services to end, when all is well. What is wrong with how they did.
    pub(crate) async fn stop_services(&self) -> Vec<String> {
        let mut ending = Vec::new();
        for (which, process) in &self.services {
            let mut process = Arc::clone(process).lock_owned().await;
            // All at once, as on a machine that goes down.
            ending.push((which, tokio::task::spawn_blocking(move || process.stop())));
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
    pub(crate) async fn keep(&self, folder: &Path) -> io::Result<()> {
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
    pub(crate) async fn address(&self, service: ServiceId) -> String {
        let users = Cable {
            service,
            end: End::Users,
        };
        format!("http://{}", self.cables[&users].lock().await.address())
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
