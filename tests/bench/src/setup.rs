//! The services as they are shipped, on servers of their own.

use voting_testing::{Deployment, Programs, Service};

/// Servers for services of these programs, which bear all load from one address.
pub(crate) fn deploy(programs: &Programs) -> Deployment {
    let settings = [
        ("VOTING_LOG", "error"),
        ("VOTING_TRUSTED_PROXIES", "127.0.0.1"),
        ("VOTING_STREAMS__MAX", "20000"),
        ("VOTING_STREAMS__MAX_PER_ADDRESS", "20000"),
    ];
    let settings = settings.map(|(key, value)| (key, value.to_owned()));
    Deployment::of(programs, settings.to_vec())
}

/// Waits until a service is ready.
pub(crate) fn ready(mut service: Service) -> Service {
    service.await_ready();
    // No name is looked up while it is measured.
    service.url = service.url.replace("localhost", "127.0.0.1");
    service
}

/// A connection to the database.
pub(crate) fn client(deployment: &Deployment) -> postgres::Client {
    postgres::Client::connect(&deployment.database, postgres::NoTls).expect("connected")
}
