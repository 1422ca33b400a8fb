//! A TCP proxy between a browser and a service, which can simulate faults.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

#[derive(Debug, Default)]
struct Faults {
    /// No data comes from the server any more; connections stay open.
    silent: AtomicBool,
    /// Event streams are held back; all other answers are passed on.
    holds_streams: AtomicBool,
    /// Scripts are not found: `/assets/result.js` is another path.
    without_script: AtomicBool,
}

/// A connection line to a service.
#[derive(Debug)]
pub struct Line {
    /// The address for the browser.
    pub url: String,
    faults: Arc<Faults>,
}

impl Line {
    /// A line without faults to this service.
    pub fn to(service: &str) -> Self {
        let server = service.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let faults = Arc::new(Faults::default());
        let all = Arc::clone(&faults);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (server, faults) = (server.clone(), Arc::clone(&all));
                thread::spawn(move || carry(client, &server, &faults));
            }
        });
        Self { url, faults }
    }

    /// Sets whether data from the server is dropped. Dropped data is lost, as when a router forgets a connection.
    pub fn is_silent(&self, silent: bool) {
        self.faults.silent.store(silent, Ordering::SeqCst);
    }

    /// Sets whether event streams are held back.
    pub fn holds_streams(&self, holds: bool) {
        self.faults.holds_streams.store(holds, Ordering::SeqCst);
    }

    /// From now on the script of the result page is not found.
    pub fn loses_the_script(&self) {
        self.faults.without_script.store(true, Ordering::SeqCst);
    }
}

fn carry(mut client: TcpStream, server: &str, faults: &Arc<Faults>) -> Option<()> {
    let mut server = TcpStream::connect(server).ok()?;
    let (mut from, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    let on_the_way = Arc::clone(faults);
    thread::spawn(move || answers(&mut from, &mut to, &on_the_way));
    let mut piece = [0; 16 * 1024];
    loop {
        let size = client.read(&mut piece).ok().filter(|size| *size > 0);
        let Some(size) = size else {
            let _ = server.shutdown(Shutdown::Both);
            return None;
        };
        let request = &mut piece[..size];
        if faults.without_script.load(Ordering::SeqCst) {
            let script = request.windows(9).position(|part| part == b"result.js");
            if let Some(at) = script {
                request[at..at + 9].copy_from_slice(b"no-result");
            }
        }
        server.write_all(request).ok()?;
    }
}

fn answers(from: &mut TcpStream, to: &mut TcpStream, faults: &Faults) -> Option<()> {
    let mut piece = [0; 16 * 1024];
    let mut is_stream = false;
    loop {
        let size = from.read(&mut piece).ok().filter(|size| *size > 0);
        let Some(size) = size else {
            let _ = to.shutdown(Shutdown::Both);
            return None;
        };
        let answer = &piece[..size];
        is_stream |= answer.windows(17).any(|part| part == b"text/event-stream");
        let is_held = is_stream && faults.holds_streams.load(Ordering::SeqCst);
        if is_held || faults.silent.load(Ordering::SeqCst) {
            // This connection never gets data again.
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        to.write_all(answer).ok()?;
    }
}
