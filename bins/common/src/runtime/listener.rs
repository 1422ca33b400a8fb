//! Sockets that listen: the process's own sockets, and sockets that a supervisor such as systemd passes to it.
//!
//! A socket from a supervisor stays open while the process is replaced. New connections wait in it for the next
//! process, so a restart refuses no connection.

use std::{env, io, net::SocketAddr};

use listenfd::ListenFd;
use tokio::net::TcpListener;

use crate::runtime::start_error::StartError;

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    pub(crate) async fn bind(what: &'static str, address: SocketAddr) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen {
            what,
            address,
            source,
        };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address })
    }

    fn inherited(socket: std::net::TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            address: socket.local_addr()?,
            socket: TcpListener::from_std(socket)?,
        })
    }

    pub(crate) fn into_socket(self) -> TcpListener {
        self.socket
    }

    /// The port of the socket.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The address as a person would type it into a browser.
    pub fn url(&self) -> String {
        let (ip, port) = (self.address.ip(), self.port());
        if ip.is_loopback() || ip.is_unspecified() {
            return format!("http://localhost:{port}/");
        }
        format!("http://{}/", self.address)
    }
}

/// The sockets that the supervisor has passed on.
pub(crate) struct Inherited {
    sockets: ListenFd,
    names: Vec<String>,
}

impl Inherited {
    /// Takes the sockets of this process. A second call returns none.
    pub(crate) fn take() -> Self {
        let sockets = ListenFd::from_env();
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names = names.split(':').map(str::to_owned);
        Self {
            names: names.take(sockets.len()).collect(),
            sockets,
        }
    }

    /// The socket with this name; `None` if no socket was passed on. It is an error if only other sockets were passed
    /// on: clients that connect to those would wait for ever.
    pub(crate) fn named(&mut self, name: &'static str) -> Result<Option<Listener>, StartError> {
        if self.sockets.len() == 0 {
            return Ok(None);
        }
        let mut places = (0..self.names.len()).filter(|place| self.names[*place] == name);
        let (Some(place), None) = (places.next(), places.next()) else {
            return Err(StartError::NotHandedOver(name));
        };
        let wrong = |error| StartError::HandedOver(name, error);
        let socket = self.sockets.take_tcp_listener(place).map_err(wrong)?;
        let socket = socket.ok_or(StartError::NotHandedOver(name))?;
        Listener::inherited(socket).map(Some).map_err(wrong)
    }
}
