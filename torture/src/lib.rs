//! Runs the services as processes on private servers, under load, while everything around them fails
//! in a way that a seed decides; then counts whether a ballot was lost or counted twice.

pub mod disk;
