//! The vote service: the voting page and the API, in front of Redis. It has no state and needs only Redis, so any
//! number of replicas can run.

use std::{future::pending, sync::Arc};

use voting_http::VoteService;
use voting_service::{Config, Exit, Service, Services, StartError, StopOn, StoreSettings, site};

/// Runs the service until it is asked to stop, or fails.
///
/// # Errors
/// It cannot start: a secret or an address is missing, or its own address is taken.
pub async fn run(config: Config, stop: StopOn) -> Result<Exit, StartError> {
    let mut services = Services::new(&config, stop)?;
    config.warn_of_remarks(Service::Vote);
    let secrets = config.secrets()?;
    let poll_keys = config.poll_keys()?;
    let redis = config.redis()?;
    let listener = services
        .listen("vote", "the voting page", config.vote.listen)
        .await?;
    let peer_port = config.result.listen.port();
    let gate = config.gates(Service::Vote).vote;
    let site = site(&config.vote, &config.result, peer_port, &gate)
        .with_served_by(config.served_by())
        .with_embed_origins(config.embed_origins.clone())
        .with_default_poll(config.default_poll.clone());
    let sink = redis.sink_on(services.on_each_core()?);
    let sink = Arc::new(sink.map_err(|error| StoreSettings::Redis(error.into()))?);
    let mut vote = VoteService::builder(sink.clone(), Arc::new(redis), &secrets)
        .site(site)
        .logins(config.logins()?)
        .allow_origins(config.api_origins.clone())
        .stop(services.leaving().clone());
    if let Some(keys) = poll_keys {
        vote = vote.poll_keys(keys);
    }
    let vote = vote.build();
    services.announce("Vote", &listener.url(), "");
    services.name_stores(&[("ballot log", "Redis"), ("polls", "Redis")]);
    services.serve(listener, vote.into_endpoint(), gate);
    let finish = async {
        sink.close().await;
        true
    };
    Ok(services.run(pending(), finish).await)
}
