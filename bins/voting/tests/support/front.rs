//! A proxy between a browser and the service. It passes requests on, and answers votes by itself if it is told to.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// How the proxy handles a vote.
#[derive(Debug, Clone)]
pub enum Votes {
    PassedOn,
    /// The service does not get the vote; the voter gets this answer.
    AnsweredInstead(String),
    /// The vote is passed on, and this answer replaces the service's answer.
    AnsweredAfter(String),
    /// The vote is held for this time, and then passed on.
    Held(Duration),
    /// The vote is passed on, and the answer is held for this time.
    AnsweredLate(Duration),
}

pub struct Front {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    votes: Mutex<Votes>,
    seen: AtomicUsize,
    /// Whether requests for the state of a poll get no answer.
    mute: AtomicBool,
}

impl Front {
    /// Starts a proxy in front of the service at this address.
    pub fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let upstream = upstream.trim_start_matches("http://").trim_end_matches('/');
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            votes: Mutex::new(Votes::PassedOn),
            seen: AtomicUsize::new(0),
            mute: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&serving);
                // A browser opens connections that it does not use.
                thread::spawn(move || shared.serve(client));
            }
        });
        Self { url, shared }
    }

    pub fn votes_are(&self, votes: Votes) {
        *self.shared.votes.lock().expect("not poisoned") = votes;
    }

    /// The number of votes that the proxy has seen.
    pub fn seen(&self) -> usize {
        self.shared.seen.load(Ordering::SeqCst)
    }

    /// Sets whether pages are prevented from following their poll.
    pub fn mute(&self, mute: bool) {
        self.shared.mute.store(mute, Ordering::SeqCst);
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> Option<()> {
        let (head, body) = read(&mut client)?;
        let mut votes = Votes::PassedOn;
        if head.starts_with("PUT ") {
            self.seen.fetch_add(1, Ordering::SeqCst);
            votes = self.votes.lock().expect("not poisoned").clone();
        }
        if head.contains("/state ") && self.mute.load(Ordering::SeqCst) {
            votes = Votes::AnsweredInstead(answer("502 Bad Gateway", "text/html", "no"));
        }
        let answer = match votes {
            Votes::AnsweredInstead(answer) => answer.into_bytes(),
            Votes::AnsweredAfter(answer) => {
                self.pass_on(&head, &body)?;
                answer.into_bytes()
            }
            Votes::Held(time) => {
                thread::sleep(time);
                self.pass_on(&head, &body)?
            }
            Votes::AnsweredLate(time) => {
                let answer = self.pass_on(&head, &body)?;
                thread::sleep(time);
                answer
            }
            Votes::PassedOn => self.pass_on(&head, &body)?,
        };
        client.write_all(&answer).ok()
    }

    fn pass_on(&self, head: &str, body: &[u8]) -> Option<Vec<u8>> {
        let mut service = TcpStream::connect(&self.upstream).ok()?;
        let kept = |line: &&str| !line.to_ascii_lowercase().starts_with("connection:");
        let mut request: String = head
            .lines()
            .filter(kept)
            .map(|line| line.to_owned() + "\r\n")
            .collect();
        request.push_str("Connection: close\r\n\r\n");
        service.write_all(request.as_bytes()).ok()?;
        service.write_all(body).ok()?;
        let mut answer = Vec::new();
        service.read_to_end(&mut answer).ok()?;
        Some(answer)
    }
}

/// The bytes of an answer.
pub fn answer(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// Reads the head of a request, without the empty line, and its body.
fn read(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.map_or(0, |(_, value)| value.trim().parse().unwrap_or(0));
    let mut body = vec![0; length];
    client.read_exact(&mut body).ok()?;
    Some((head.trim_end().to_owned(), body))
}
