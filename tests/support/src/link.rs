//! The network between a process and a server, whose condition can be changed.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::sleep,
};

/// What a link does with what is sent over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Bytes go through.
    Normal,
    /// Connections are reset, new ones too.
    Cut,
    /// Connections stay, but nothing goes through, this way or both, until the condition changes; then it
    /// goes on, as with a cable that was unplugged and plugged in again.
    Silent {
        /// What the client sends.
        requests: bool,
        /// What the server sends.
        answers: bool,
    },
    /// All that is sent takes so long.
    Slow(Duration),
    /// So many bytes a second go through a connection, each way; at least one.
    Narrow(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Requests,
    Answers,
}

impl Condition {
    fn holds(self, way: Way) -> bool {
        match self {
            Self::Silent { requests, answers } => match way {
                Way::Requests => requests,
                Way::Answers => answers,
            },
            _ => false,
        }
    }

    fn delay(self, bytes: usize) -> Duration {
        match self {
            Self::Slow(delay) => delay,
            Self::Narrow(rate) => {
                let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                Duration::from_secs(1) * bytes / rate.max(1)
            }
            _ => Duration::ZERO,
        }
    }
}

/// A proxy for TCP. Its address stays, whatever becomes of the server.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    server: Arc<watch::Sender<Option<SocketAddr>>>,
    condition: watch::Sender<Condition>,
    felt: Arc<AtomicU64>,
}

impl Link {
    /// A link to a server that is not known yet, in normal condition.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn new() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let server = Arc::new(watch::Sender::new(None));
        let condition = watch::Sender::new(Condition::Normal);
        let felt = Arc::default();
        let shared = Shared {
            condition: condition.subscribe(),
            felt: Arc::clone(&felt),
        };
        tokio::spawn(accept(listener, server.subscribe(), shared));
        Ok(Self {
            address,
            server,
            condition,
            felt,
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server is there from now on. Connections that are open go to the old one.
    pub fn leads_to(&self, server: SocketAddr) {
        self.server.send_replace(Some(server));
    }

    /// Changes the condition.
    pub fn set(&self, condition: Condition) {
        self.condition.send_replace(condition);
    }

    /// How often the link has so far cut a connection, or held or delayed what came over one.
    pub fn felt(&self) -> u64 {
        self.felt.load(Relaxed)
    }
}

/// What all connections of a link share.
#[derive(Clone)]
struct Shared {
    condition: watch::Receiver<Condition>,
    felt: Arc<AtomicU64>,
}

impl Shared {
    fn is_felt(&self) {
        self.felt.fetch_add(1, Relaxed);
    }
}

async fn accept(
    listener: TcpListener,
    server: watch::Receiver<Option<SocketAddr>>,
    mut shared: Shared,
) {
    loop {
        let client = tokio::select! {
            client = listener.accept() => client,
            // The link is gone.
            gone = shared.condition.wait_for(|_| false) => {
                debug_assert!(gone.is_err(), "it never comes true");
                return;
            }
        };
        let server = *server.borrow();
        if let (Ok((client, _)), Some(server)) = (client, server) {
            let shared = shared.clone();
            tokio::spawn(async move {
                // Whatever ends a connection, both ends see it end.
                let _ = connect(client, server, shared).await;
            });
        }
    }
}

async fn connect(client: TcpStream, server: SocketAddr, shared: Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    let carry = async {
        let server = TcpStream::connect(server).await?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::try_join!(
            carry(from_client, to_server, Way::Requests, shared.clone()),
            carry(from_server, to_client, Way::Answers, shared.clone()),
        )
    };
    let mut cut = shared.condition.clone();
    tokio::select! {
        carried = carry => carried.map(|_| ()),
        _ = cut.wait_for(|condition| *condition == Condition::Cut) => {
            shared.is_felt();
            Ok(())
        }
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: Way,
    mut shared: Shared,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let size = from.read(&mut bytes).await?;
        if shared.condition.borrow().holds(way) {
            shared.is_felt();
        }
        let now = shared
            .condition
            .wait_for(|condition| !condition.holds(way))
            .await;
        let delay = now.map_or(Duration::ZERO, |now| now.delay(size));
        if !delay.is_zero() {
            shared.is_felt();
            sleep(delay).await;
        }
        if size == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..size]).await?;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// A server that says back what it is told.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut from, mut to) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
            }
        });
        address
    }

    async fn link() -> (Link, TcpStream) {
        let link = Link::new().await.unwrap();
        link.leads_to(echo().await);
        let client = TcpStream::connect(link.address()).await.unwrap();
        (link, client)
    }

    async fn says_back(client: &mut TcpStream, text: &str) -> io::Result<()> {
        client.write_all(text.as_bytes()).await?;
        let mut said = vec![0; text.len()];
        client.read_exact(&mut said).await?;
        assert_eq!(said, text.as_bytes());
        Ok(())
    }

    #[tokio::test]
    async fn what_is_held_goes_on_once_the_condition_is_normal() {
        for (requests, answers) in [(true, false), (false, true), (true, true)] {
            let (link, mut client) = link().await;
            says_back(&mut client, "normal").await.unwrap();
            link.set(Condition::Silent { requests, answers });
            let mut held = Box::pin(says_back(&mut client, "held"));
            let early = timeout(Duration::from_millis(100), &mut held).await;
            assert!(early.is_err(), "nothing comes through");
            assert!(link.felt() > 0);
            link.set(Condition::Normal);
            held.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_cut_ends_connections_and_lets_no_new_ones_be() {
        let (link, mut client) = link().await;
        says_back(&mut client, "normal").await.unwrap();
        assert_eq!(link.felt(), 0);
        link.set(Condition::Cut);
        assert!(says_back(&mut client, "cut").await.is_err());
        assert_eq!(link.felt(), 1);
        let mut client = TcpStream::connect(link.address()).await.unwrap();
        assert!(says_back(&mut client, "cut").await.is_err());
        link.set(Condition::Normal);
        let mut client = TcpStream::connect(link.address()).await.unwrap();
        says_back(&mut client, "normal").await.unwrap();
    }

    #[tokio::test]
    async fn what_is_slow_comes_late() {
        let (link, mut client) = link().await;
        link.set(Condition::Slow(Duration::from_millis(50)));
        let start = std::time::Instant::now();
        says_back(&mut client, "slow").await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(100), "both ways");
        assert!(link.felt() > 1);
    }

    #[tokio::test]
    async fn what_goes_through_a_narrow_link_takes_as_long_as_it_is_large() {
        let (link, mut client) = link().await;
        link.set(Condition::Narrow(10_000));
        let start = std::time::Instant::now();
        says_back(&mut client, &"large".repeat(200)).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(200), "both ways");
    }
}
