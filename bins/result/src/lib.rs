//! The result service: the live page and the API, over Postgres, which the service only reads.

use std::{
    future::{pending, ready},
    sync::Arc,
};

use voting_http::ResultService;
use voting_service::{Config, Exit, Service, Services, StartError, StopOn, site};

/// Runs the service until it is asked to stop, or fails.
///
/// # Errors
/// It cannot start: a secret or an address is missing, or its own address is taken.
pub async fn run(config: Config, stop: StopOn) -> Result<Exit, StartError> {
    let mut services = Services::new(&config, stop)?;
    config.warn_of_remarks(Service::Result);
    let secrets = config.secrets()?;
    let postgres = Arc::new(config.postgres()?);
    let listener = services
        .listen("result", "the result page", config.result.listen)
        .await?;
    let peer_port = config.vote.listen.port();
    let gate = config.gates(Service::Result).result;
    let site = site(&config.result, &config.vote, peer_port, &gate)
        .with_served_by(config.served_by())
        .with_embed_origins(config.embed_origins.clone())
        .with_default_poll(config.default_poll);
    let result = ResultService::builder(postgres.clone(), postgres, &secrets)
        .site(site)
        .allow_origins(config.api_origins)
        .stop(services.leaving().clone())
        .build();
    services.announce("Result", &listener.url(), "");
    services.name_stores(&[("tally store", "Postgres"), ("polls", "Postgres")]);
    services.serve(listener, result.into_endpoint(), gate);
    Ok(services.run(pending(), ready(true)).await)
}
