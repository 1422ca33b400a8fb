//! The state that all casters share.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::{casting::voters::Voters, counts::Counters, http::Place, plan::Plan};

/// The state that all casters share.
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    places: Mutex<Places>,
    turn: AtomicUsize,
    voters: Mutex<Voters>,
    pub(crate) counters: Arc<Counters>,
}

/// The addresses of the vote services. Each change makes a new generation.
struct Places {
    all: Arc<[Place]>,
    generation: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The state before any ballot is cast.
    pub(crate) fn new(votes: Arc<[Place]>, plan: Plan) -> Self {
        let counters = Arc::new(Counters::default());
        Self {
            places: Mutex::new(Places {
                all: votes,
                generation: 0,
            }),
            turn: AtomicUsize::new(0),
            voters: Mutex::new(Voters::new(&plan, Arc::clone(&counters))),
            counters,
            plan,
        }
    }

    /// Replaces the vote services.
    pub(crate) fn redirect(&self, votes: Arc<[Place]>) {
        let mut places = lock(&self.places);
        places.all = votes;
        places.generation += 1;
    }

    pub(crate) fn voters(&self) -> MutexGuard<'_, Voters> {
        lock(&self.voters)
    }

    /// The places, the index of the next one, and their generation.
    pub(crate) fn place(&self) -> (Arc<[Place]>, usize, u64) {
        let places = lock(&self.places);
        let turn = self.turn.fetch_add(1, Relaxed) % places.all.len();
        (Arc::clone(&places.all), turn, places.generation)
    }

    pub(crate) fn generation(&self) -> u64 {
        lock(&self.places).generation
    }
}
