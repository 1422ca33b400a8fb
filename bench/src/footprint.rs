//! What the services take while nothing happens, and how soon they are ready.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
};

use crate::{
    figures::{memory, ms},
    stage::{Programs, Service, Stage},
};

const CONNECTIONS: usize = 1_000;

pub(crate) fn measure(programs: &Programs, runtime: &Runtime) {
    let folder = programs.folder().display().to_string();
    println!("footprint: of the programs in {folder}");
    let stage = Stage::new(programs);
    let worker = stage.worker();
    let (vote, result) = (stage.vote(), stage.result());
    for (name, service) in [
        ("voting-vote", &vote),
        ("voting-worker", &worker),
        ("voting-result", &result),
    ] {
        let size = std::fs::metadata(programs.path(name))
            .expect("it is there")
            .len();
        #[expect(clippy::cast_precision_loss, reason = "a few million")]
        let size = size as f64 / 1_048_576.0;
        let idle = memory(service.program.id());
        let busy = runtime.block_on(with_connections(service));
        println!(
            "  {name:<14} {size:>5.1} MiB on disk, ready after {:>4.0} ms, resident {idle:>5.1} \
             MiB, with {CONNECTIONS} connections {busy:>5.1} MiB",
            ms(service.ready_after)
        );
    }
    println!("  (goal: voting-vote at most 32 MiB with {CONNECTIONS} connections)");
}

/// Its memory while so many clients are connected, each of which has been served.
async fn with_connections(service: &Service) -> f64 {
    let address = service.url.trim_start_matches("http://").to_owned();
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(&address).await.expect("connected");
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = [0; 4096];
        let read = stream.read(&mut answer).await.expect("an answer");
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        open.push(stream);
    }
    memory(service.program.id())
}
