//! Faults of a service.

use std::{thread::sleep, time::Duration};

use super::{Made, pause};
use crate::{plan::What, process::Process};

/// What is no fault, and was found out, is added to what is wrong.
pub(super) fn hit(
    service: &mut Process,
    what: What,
    length: Duration,
    wrong: &mut Vec<String>,
) -> Made {
    if let Some(dead) = service.found_dead() {
        wrong.push(dead.clone());
        service.start();
        return Err(dead);
    }
    match what {
        What::Pause(_) => {
            let processes: Vec<_> = service.id().into_iter().collect();
            pause(&processes, length)
        }
        What::Restart(_) => {
            wrong.extend(service.stop().and_then(|ended| ended.wrong()));
            service.start();
            Ok(String::new())
        }
        _ => {
            service.kill();
            sleep(length);
            service.start();
            Ok(String::new())
        }
    }
}
