//! The parts that every service has: the server and its limits, health, metrics, and the OpenAPI document.

pub(crate) mod api_routes;
pub(crate) mod document;
pub(crate) mod event_stream;
pub(crate) mod gate;
pub(crate) mod health;
pub(crate) mod methods;
pub(crate) mod metrics;
pub(crate) mod serve;
pub(crate) mod tower;
