//! The server under clients that dawdle, and when it is asked to stop.

mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use poem::endpoint::{make, make_sync};
use support::{Services, Setup, connect, get, read_to_end};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Handle},
    sync::oneshot,
};
use tokio_util::sync::CancellationToken;
use voting_http::{Gate, Limits, ServeOptions, serve};
use voting_testing::await_some;

fn hasty(options: ServeOptions) -> Services {
    Services::set_up(|_| Setup {
        serve: options,
        ..Setup::default()
    })
}

/// With so many places, all of which one address may have.
fn narrow(max_connections: usize, reserve: Option<usize>, serve: ServeOptions) -> Services {
    Services::set_up(|_| Setup {
        serve,
        limits: Limits {
            max_connections,
            max_connections_per_address: Some(max_connections),
            reserve,
            ..Limits::default()
        },
        ..Setup::default()
    })
}

#[test]
fn a_client_that_drips_its_headers_is_cut_off() {
    let services = hasty(ServeOptions {
        header_timeout: Duration::from_millis(300),
        ..ServeOptions::default()
    });
    let mut slow = connect(&services.vote);
    let begun = Instant::now();
    let mut dripped = 0;
    // Long after the time-out the client would still be sending.
    for byte in "GET / HTTP/1.1\r\n"
        .bytes()
        .chain("X-Slow: yes\r\n".bytes().cycle().take(500))
    {
        if slow.write_all(&[byte]).is_err() {
            break;
        }
        dripped += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(
        dripped < 500 && begun.elapsed() < Duration::from_secs(8),
        "{dripped} bytes"
    );
    assert_eq!(get(&services.vote, &[]).status, 200);
}

#[tokio::test]
async fn a_panic_is_answered_and_the_connection_goes_on() {
    let endpoint = make_sync(|request| {
        assert_ne!(request.uri().path(), "/panic");
        "well"
    });
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(serve(
        socket,
        endpoint,
        ServeOptions::default(),
        stop.clone(),
    ));
    let talk = tokio::task::spawn_blocking(move || {
        let mut client = TcpStream::connect(address).unwrap();
        let mut ask = |path| {
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            client.write_all(request.as_bytes()).unwrap();
            let mut answer = [0; 4096];
            let length = client.read(&mut answer).unwrap();
            String::from_utf8_lossy(&answer[..length]).into_owned()
        };
        ["/panic", "/"].map(&mut ask)
    });
    let [failed, well] = talk.await.unwrap();
    assert!(failed.starts_with("HTTP/1.1 500"), "{failed}");
    assert!(well.starts_with("HTTP/1.1 200"), "{well}");
    stop.cancel();
}

/// A runtime with a thread of this name, which ends when the sender is dropped.
fn runtime_of(name: &str) -> (Handle, oneshot::Sender<()>) {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let handle = runtime.handle().clone();
    let (end, ended) = oneshot::channel::<()>();
    let thread = std::thread::Builder::new().name(name.to_owned());
    let runs = thread.spawn(move || drop(runtime.block_on(ended)));
    runs.expect("a thread");
    (handle, end)
}

#[tokio::test]
async fn each_connection_is_served_by_the_runtime_that_has_the_fewest() {
    let endpoint = make(|_| async {
        // The answer is made after a wait, by the thread that serves the connection.
        tokio::time::sleep(Duration::from_millis(1)).await;
        std::thread::current().name().unwrap_or_default().to_owned()
    });
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (runtimes, ends): (Vec<_>, Vec<_>) = ["one", "two"].map(runtime_of).into_iter().unzip();
    let options = ServeOptions {
        runtimes,
        ..ServeOptions::default()
    };
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(socket, endpoint, options, stop.clone()));
    let talk = tokio::task::spawn_blocking(move || {
        let ask = |client: &mut TcpStream| {
            client
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                .unwrap();
            let mut answer = [0; 4096];
            let length = client.read(&mut answer).unwrap();
            let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
            answer
                .rsplit_once("\r\n")
                .map(|(_, body)| body.to_owned())
                .unwrap()
        };
        let open = |_| TcpStream::connect(address).unwrap();
        let mut clients: Vec<_> = (0..6).map(open).collect();
        let served: Vec<_> = clients.iter_mut().map(ask).collect();
        let of_first = served.iter().filter(|by| *by == "one").count();
        assert_eq!(of_first, 3, "{served:?}");
        // The clients of the second leave. Then it serves as many others before the first serves one more.
        let mut by = served.iter();
        clients.retain(|_| by.next().is_some_and(|by| by == "one"));
        await_some("the second serves those who come", || {
            let mut later: Vec<_> = (0..3).map(open).collect();
            let all = later.iter_mut().all(|client| ask(client) == "two");
            all.then_some(())
        });
    });
    talk.await.unwrap();
    stop.cancel();
    assert!(server.await.unwrap(), "all requests are answered");
    drop(ends);
}

/// It takes 20 s, which is how long such a visit may last in all.
#[tokio::test]
async fn a_visit_in_the_reserve_ends_also_without_an_answer() {
    let endpoint = make(|request: poem::Request| async move {
        if request.uri().path() == "/hang" {
            std::future::pending::<()>().await;
        }
        "well"
    });
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let options = ServeOptions {
        gate: Gate::new(Limits {
            max_connections: 1,
            max_connections_per_address: Some(1),
            reserve: Some(1),
            ..Limits::default()
        }),
        ..ServeOptions::default()
    };
    let stop = CancellationToken::new();
    tokio::spawn(serve(socket, endpoint, options, stop.clone()));
    let talk = tokio::task::spawn_blocking(move || {
        let connect = |request: &str| {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(request.as_bytes()).unwrap();
            client
        };
        let _place = connect("");
        let _hangs = connect("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut next = connect("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        next.set_read_timeout(Some(Duration::from_secs(28)))
            .unwrap();
        read_to_end(&mut next)
    });
    let answer = talk.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    stop.cancel();
}

#[test]
fn a_connection_too_many_waits_for_its_turn() {
    let services = narrow(2, Some(0), ServeOptions::default());
    let first = connect(&services.vote);
    let _second = connect(&services.vote);
    let mut third = connect(&services.vote);
    third
        .write_all(b"GET /healthz HTTP/1.0\r\nHost: x\r\n\r\n")
        .unwrap();
    third
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    assert!(third.read(&mut [0; 1]).is_err(), "it is not served yet");
    drop(first);
    third
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert!(read_to_end(&mut third).starts_with("HTTP/1.0 200"));
}

#[test]
fn a_request_in_flight_is_answered_before_the_server_ends() {
    let services = Services::start();
    let mut busy = connect(&services.vote);
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Content-Length: 6\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n";
    busy.write_all(head.as_bytes()).unwrap();
    // The server asks for the body: the request is in flight.
    let mut go_on = [0; 25];
    busy.read_exact(&mut go_on).unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100 Continue"));
    let _idle = connect(&services.vote);
    services.stop.cancel();
    busy.write_all(b"vote=a").unwrap();
    assert!(read_to_end(&mut busy).starts_with("HTTP/1.1 200"));
    let begun = Instant::now();
    let mut services = services;
    for server in std::mem::take(&mut services.servers) {
        assert!(services.block_on(server).unwrap(), "all requests ended");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "an idle connection does not hold it up"
    );
    assert_eq!(services.votes("cats-vs-dogs"), [1, 0]);
}

#[test]
fn a_service_that_is_about_to_stop_is_not_ready() {
    let services = Services::start();
    let mut kept = connect(&services.vote);
    let ask = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n";
    kept.write_all(ask).unwrap();
    let mut first = [0; 15];
    kept.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    services.stop.cancel();
    // No new connection is taken, and a kept one ends.
    kept.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    read_to_end(&mut kept);
}

/// Asks on a connection that is kept; the head of the answer, whose body is skipped.
fn ask(kept: &mut TcpStream, request: &str) -> String {
    kept.write_all(request.as_bytes()).expect("HTTP");
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let mut byte = [0; 1];
        kept.read_exact(&mut byte).expect("HTTP");
        head.push(char::from(byte[0]));
    }
    let head = head.to_lowercase();
    let (_, length) = head.split_once("content-length: ").expect("HTTP");
    let length = length.lines().next().expect("HTTP").parse().expect("HTTP");
    kept.read_exact(&mut vec![0; length]).expect("HTTP");
    head
}

const BALLOT: &str = "PUT /v1/polls/cats-vs-dogs/ballot HTTP/1.1\r\nHost: x\r\n\
    Content-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"choices\":[\"a\"]}";

fn accepts(url: &str) -> bool {
    TcpStream::connect(url.trim_start_matches("http://")).is_ok()
}

#[test]
fn a_client_that_keeps_its_connection_is_asked_to_leave_before_the_server_does() {
    let mut services = hasty(ServeOptions {
        lame_duck: Duration::from_secs(20),
        ..ServeOptions::default()
    });
    let mut kept = [(); 2].map(|()| connect(&services.vote));
    for kept in &mut kept {
        let head = ask(kept, BALLOT);
        assert!(head.starts_with("http/1.1 202"), "{head}");
        assert!(!head.contains("connection: close"), "{head}");
    }
    services.stop.cancel();
    await_some("no new connection is taken", || {
        (!accepts(&services.vote)).then_some(())
    });
    for kept in &mut kept {
        // It did not know yet, and its ballot is taken all the same.
        let head = ask(kept, BALLOT);
        assert!(head.starts_with("http/1.1 202"), "{head}");
        assert!(head.contains("connection: close"), "{head}");
        assert_eq!(read_to_end(kept), "");
    }
    let begun = Instant::now();
    for server in std::mem::take(&mut services.servers) {
        assert!(services.block_on(server).unwrap(), "all requests ended");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "it does not wait when all have left"
    );
    assert_eq!(services.votes("cats-vs-dogs"), [4, 0]);
}

#[test]
fn a_connection_that_waits_to_be_accepted_is_served_at_a_stop() {
    let options = ServeOptions {
        lame_duck: Duration::from_secs(20),
        ..ServeOptions::default()
    };
    let services = narrow(1, Some(0), options);
    let mut kept = connect(&services.vote);
    ask(&mut kept, BALLOT);
    // The only place is taken, so this one stays in the socket's queue.
    let mut waiting = connect(&services.vote);
    waiting.write_all(BALLOT.as_bytes()).unwrap();
    services.stop.cancel();
    await_some("no new connection is taken", || {
        (!accepts(&services.vote)).then_some(())
    });
    ask(&mut kept, BALLOT);
    let answer = read_to_end(&mut waiting);
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert_eq!(services.votes("cats-vs-dogs"), [3, 0]);
}

#[test]
fn a_client_that_takes_no_answer_is_cut_off() {
    let options = ServeOptions {
        write_timeout: Duration::from_millis(300),
        ..ServeOptions::default()
    };
    let services = narrow(1, Some(0), options);
    // Far more than the sockets' buffers hold, and never read.
    let mut deaf = connect(&services.vote);
    let ask = b"GET /docs/ HTTP/1.1\r\nHost: x\r\n\r\n";
    deaf.write_all(&ask.repeat(20)).unwrap();
    // Its place is needed.
    let begun = Instant::now();
    let mut next = connect(&services.vote);
    next.write_all(b"GET /healthz HTTP/1.0\r\nHost: x\r\n\r\n")
        .unwrap();
    assert!(read_to_end(&mut next).starts_with("HTTP/1.0 200"));
    assert!(begun.elapsed() < Duration::from_secs(10));
}
