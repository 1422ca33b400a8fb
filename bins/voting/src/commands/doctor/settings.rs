//! The settings, and the secrets that they name.

use std::path::{Path, PathBuf};

use voting_core::error::in_one_line;
use voting_service::{
    LoadedSettings, Origin, SecretError, SecretUse, anybody_may_read, with_origin,
};

use super::Visit;
use crate::commands::report::{Finding, Report};

/// The folder where container engines put secrets, readable by all users in the container.
const CONTAINER_SECRETS: &str = "/run/secrets";

/// The variable in which Nomad gives the folder of a task's secrets.
const NOMAD_SECRETS: &str = "NOMAD_SECRETS_DIR";

/// Whether a container engine has put the file into a folder that only the service can see.
fn is_of_an_engine(file: &Path) -> bool {
    let nomad = std::env::var_os(NOMAD_SECRETS).filter(|folder| !folder.is_empty());
    file.starts_with(CONTAINER_SECRETS) || nomad.is_some_and(|folder| file.starts_with(folder))
}

/// The settings cannot be read, so no service starts.
pub(super) fn cannot_be_read(report: &mut Report, faults: &[String]) {
    for fault in faults {
        report.add(Finding::fail(
            "settings",
            fault,
            "correct it where it is set; `voting config check` looks at the settings alone",
        ));
    }
}

pub(super) fn check(visit: &mut Visit<'_>, loaded: &LoadedSettings) {
    let (config, services) = (visit.config, visit.services.clone());
    let names: Vec<_> = services.iter().map(|service| service.program()).collect();
    let mut faults: Vec<String> = Vec::new();
    for service in &services {
        for fault in config.faults_for(*service) {
            // The secrets have their own lines.
            let is_new = !faults.contains(&fault);
            if is_new && !is_of_a_secret(&fault, visit) {
                faults.push(fault);
            }
        }
    }
    if faults.is_empty() && loaded.faults().is_empty() {
        visit.add(Finding::ok(
            "settings",
            format!("good for {}", names.join(", ")),
        ));
    }
    for fault in faults {
        let fault = with_origin(&fault, loaded.settings());
        visit.add(Finding::fail(
            "settings",
            fault,
            "correct it where it is set",
        ));
    }
    for remark in config.remarks_for(&services) {
        visit.add(Finding::warn(
            "settings",
            remark,
            "check whether this is intended",
        ));
    }
    for secret in config.secrets_of(&services) {
        let finding = secret_finding(&secret, loaded);
        visit.add(finding);
    }
}

fn is_of_a_secret(fault: &str, visit: &Visit<'_>) -> bool {
    let secrets = visit.config.secrets_of(&visit.services);
    let errors = secrets
        .iter()
        .filter_map(|secret| secret.state.as_ref()?.as_ref().err());
    errors
        .map(|error| in_one_line(error))
        .any(|error| error == fault)
}

fn secret_finding(secret: &SecretUse, loaded: &LoadedSettings) -> Finding {
    let name = secret.name;
    let check = "secrets";
    match &secret.state {
        None => return Finding::ok(check, format!("{name} is made at the first start")),
        Some(Err(error)) => {
            let todo = match (error, name) {
                (SecretError::Both(_), _) => "set one of them",
                (SecretError::NotGiven(_), "redis.url") => {
                    "set it, such as redis://user:password@host:6379/"
                }
                (SecretError::NotGiven(_), "postgres.url") => {
                    "set it, such as postgres://user:password@host/database"
                }
                (SecretError::NotGiven(_) | SecretError::Short(..), "worker.token") => {
                    "set it; `openssl rand -hex 32` makes a token, which all workers share"
                }
                (
                    SecretError::NotGiven(_) | SecretError::Short(..),
                    "entry_key" | "other_entry_key_files",
                ) => "give it the entry key that the other vote services and workers have",
                (SecretError::NotGiven(_) | SecretError::Short(..), "other_secret_files") => {
                    "give it the next secret, or the one before, whole"
                }
                (SecretError::NotGiven(_) | SecretError::Short(..), _) => {
                    "give it the secret that the other services have; with another one everybody could \
                     vote again. Only where nobody has voted yet, make one: openssl rand -hex 32"
                }
                _ => "put it back, from the backup if need be, or correct its rights",
            };
            let found = with_origin(&in_one_line(error), loaded.settings());
            return Finding::fail(check, found, todo);
        }
        Some(Ok(())) => {}
    }
    let setting = loaded.settings().iter().find(|setting| setting.key == name);
    // The secret is in its own file, or in a file of settings.
    let file: Option<PathBuf> = match (&secret.file, setting.map(|setting| &setting.origin)) {
        (Some(file), _) => Some(file.clone()),
        (None, Some(Origin::File(file))) => Some(file.clone()),
        _ => None,
    };
    let Some(file) = file else {
        return Finding::ok(check, format!("{name} is set, not in a file"));
    };
    let shown = file.display();
    match anybody_may_read(&file) {
        Ok(false) => Finding::ok(check, format!("{name} is in {shown}, not for all to read")),
        Ok(true) if is_of_an_engine(&file) => Finding::ok(
            check,
            format!("{name} is in {shown}, where a container has its secrets"),
        ),
        Ok(true) => Finding::fail(
            check,
            format!("{name} is in {shown}, which every user of this machine can read"),
            format!("chmod o= {shown}, then make a new one if others were on the machine"),
        ),
        Err(error) => Finding::unknown(check, format!("who may read {shown}: {error}")),
    }
}
