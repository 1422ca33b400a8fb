//! The servers and the services, each behind cables of its own, so that a fault of one is no fault of
//! another.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use tokio::sync::Mutex;
use voting_testing::{PostgresServer, Program, RedisServer};

use crate::{
    cast::{Cable, End, Service},
    disk::{ForgetfulDisk, NoFuse},
    link::Link,
};

/// The secret that signs cookies and receipts.
const SECRET: &str = "the secret of the torture run, 32 bytes or more";
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
}

/// A service that runs, or is down.
#[derive(Debug)]
pub struct Player {
    which: Service,
    program: Option<Program>,
    executable: PathBuf,
    settings: Vec<(String, String)>,
    log: PathBuf,
    front: Arc<Link>,
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
        fs::create_dir_all(&props.logs)?;
        let (disks, no_fuse) = match disks() {
            Ok(disks) => (Some(disks), None),
            Err(error) => (None, Some(error)),
        };
        let (redis_disk, postgres_disk) = disks.unzip();
        let durable = props.durable;
        let (redis, postgres) =
            off(move || (redis(redis_disk, durable), postgres(postgres_disk))).await;

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

fn redis(disk: Option<ForgetfulDisk>, durable: bool) -> Server<RedisServer> {
    let settings: &[&str] = if durable {
        &[]
    } else {
        &["--appendfsync", "everysec"]
    };
    let server = match &disk {
        Some(disk) => RedisServer::start_in(disk.path(), settings),
        None => RedisServer::start_with(settings),
    };
    Server {
        server,
        disk: on_disk(disk),
    }
}

fn postgres(disk: Option<ForgetfulDisk>) -> Server<PostgresServer> {
    let server = match &disk {
        Some(disk) => PostgresServer::start_in(disk.path()),
        None => PostgresServer::start(),
    };
    server.database("voting");
    Server {
        server,
        disk: on_disk(disk),
    }
}

/// What made the server may not have been synced.
fn on_disk(disk: Option<ForgetfulDisk>) -> Option<Arc<ForgetfulDisk>> {
    disk.map(|disk| {
        disk.sync_all();
        Arc::new(disk)
    })
}

/// The address in a URL of a server on this machine.
fn address_of(url: &str) -> SocketAddr {
    let port = url
        .split(['/', '@'])
        .find_map(|part| part.rsplit_once(':')?.1.parse().ok());
    (Ipv4Addr::LOCALHOST, port.expect("a port")).into()
}

impl Player {
    fn new(which: Service, props: &Props, links: &BTreeMap<End, Arc<Link>>) -> Self {
        let executable = match which {
            Service::Vote(_) => props.programs.join("voting-vote"),
            Service::Worker(_) => props.worker.clone(),
            Service::Result(_) => props.programs.join("voting-result"),
        };
        let name = which.to_string().replace(' ', "-");
        let mut settings: Vec<_> = [
            ("VOTING_VOTE__LISTEN", "127.0.0.1:0"),
            ("VOTING_RESULT__LISTEN", "127.0.0.1:0"),
            ("VOTING_WORKER__LISTEN", "127.0.0.1:0"),
            ("VOTING_SECRET", SECRET),
            ("VOTING_WORKER__TOKEN", TOKEN),
            ("VOTING_REDIS__RETENTION_HOURS", "0"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let mut set = |key: &str, value: String| settings.push((key.to_owned(), value));
        set(
            "VOTING_REDIS__CLAIM_TIMEOUT_MS",
            CLAIM_TIMEOUT.as_millis().to_string(),
        );
        set("VOTING_REDIS__ACCEPT_LOSS", (!props.durable).to_string());
        if let Some(link) = links.get(&End::Redis) {
            set("VOTING_REDIS__URL", format!("redis://{}/", link.address()));
        }
        if let Some(link) = links.get(&End::Postgres) {
            let url = format!("postgres://postgres@{}/voting", link.address());
            set("VOTING_POSTGRES__URL", url);
        }
        Self {
            which,
            program: None,
            executable,
            settings,
            log: props.logs.join(format!("{name}.log")),
            front: Arc::clone(&links[&End::Users]),
        }
    }

    /// Starts it.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(&mut self) {
        let says = match self.which {
            Service::Vote(_) => "Vote:",
            Service::Worker(_) => "Operator:",
            Service::Result(_) => "Result:",
        };
        let log = append_to(&self.log).expect("a log");
        let settings = self.settings.iter().map(|(key, value)| (key, value));
        let mut command = Command::new(&self.executable);
        let mut program = Program::start(command.env_clear().envs(settings).stderr(log));
        self.front.leads_to(address_of(&program.address(says)));
        self.program = Some(program);
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(program) = self.program.take() {
            program.kill();
        }
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) {
        if let Some(program) = self.program.take() {
            program.signal("TERM");
            program.wait();
        }
    }

    /// The id of its process.
    pub fn id(&self) -> Option<u32> {
        self.program.as_ref().map(Program::id)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}
