//! The committed OpenAPI documents are those of the code.
//!
//! `UPDATE_OPENAPI=1 cargo test -p voting-http --test openapi` writes them anew.

mod support;

use std::{fs, path::Path, sync::Arc};

use voting_core::{SecretKey, Worker, WorkerOptions, memory::Memory};
use voting_http::{Pipeline, ResultService, Site, VoteService, WorkerService};

#[tokio::test]
async fn the_committed_documents_are_current() {
    let memory = Memory::default();
    let all = Arc::new(memory.clone());
    let queue = Arc::new(memory.queue());
    let options = WorkerOptions::default();
    let pipeline = Pipeline {
        worker: Worker::new(queue.clone(), all.clone(), all.clone(), options).start(),
        queue,
        flusher: all.clone(),
        tallies: all.clone(),
        polls: all.clone(),
        directory: all.clone(),
        dead_letters: all.clone(),
    };
    let (site, secret) = (Site::default(), support::secret());
    let token = SecretKey::new(support::OPERATOR_TOKEN).unwrap();
    let sink = Arc::new(memory.sink());
    let documents = [
        (
            "vote",
            VoteService::new(sink, all.clone(), &secret, site.clone()).openapi(),
        ),
        (
            "result",
            ResultService::new(all.clone(), all, &secret, site.clone()).openapi(),
        ),
        (
            "worker",
            WorkerService::new(pipeline, &token, site.stop).openapi(),
        ),
    ];
    for (service, document) in documents {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = path.join("../openapi").join(format!("{service}.json"));
        let document = document.trim_end().to_owned() + "\n";
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            fs::write(&path, &document).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == document,
            "openapi/{service}.json is not current: \
             UPDATE_OPENAPI=1 cargo test -p voting-http --test openapi"
        );
    }
}
