//! Faults of a service.

use std::{thread::sleep, time::Duration};

use super::{Made, pause};
use crate::{plan::What, player::Player};

/// What is no fault, and was found out, is added to what is wrong.
pub(super) fn suffers(
    player: &mut Player,
    what: What,
    length: Duration,
    wrong: &mut Vec<String>,
) -> Made {
    if let Some(dead) = player.found_dead() {
        wrong.push(dead.clone());
        player.start();
        return Err(dead);
    }
    match what {
        What::Pause(_) => {
            let processes: Vec<_> = player.id().into_iter().collect();
            pause(&processes, length)
        }
        What::Restart(_) => {
            wrong.extend(player.stop().and_then(|ended| ended.wrong()));
            player.start();
            Ok(String::new())
        }
        _ => {
            player.kill();
            sleep(length);
            player.start();
            Ok(String::new())
        }
    }
}
