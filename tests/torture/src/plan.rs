//! Which faults there are, and in which order they come: a seed decides.

use std::{fmt, time::Duration};

use fastrand::Rng;
use voting_testing::link::Condition;

use crate::target::{Cable, Target};

/// Something that goes wrong, and is put right again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// It is killed without a warning, and started again after a while.
    Kill(Target),
    /// It stands still for a while.
    Pause(Target),
    /// It is asked to end, and started again at once.
    Restart(Target),
    /// The power of these servers fails; the seed says which unsynced writes are kept, if any.
    PowerCut {
        /// Redis is one of them.
        redis: bool,
        /// Postgres is one of them.
        postgres: bool,
        /// Some of what was not synced is kept.
        torn: Option<u64>,
    },
    /// The process of Postgres that serves one connection is killed, so that Postgres ends all of them.
    Backend,
    /// The condition of a cable changes for a while.
    Network(Cable, Condition),
    /// Redis has no more memory for a while.
    Memory,
    /// The clock of Redis jumps forward, as far as its ids show.
    Jump(Duration),
    /// Redis writes its log anew.
    Rewrite,
    /// No fault: a poll opens and closes at set times, so long one after the other, while voters vote.
    Timed(Duration),
}

/// A fault in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    /// After the one before has begun.
    pub gap: Duration,
    /// What it is one of.
    pub kind: Kind,
    /// What goes wrong.
    pub what: What,
    /// Until it is put right.
    pub length: Duration,
}

/// How often things go wrong, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// On average, from the beginning of a fault to that of the next.
    pub gap: Duration,
    /// No fault is longer.
    pub longest: Duration,
}

/// The shortest fault.
const SHORTEST: Duration = Duration::from_millis(50);

/// Makes a plan. The first faults are one of each kind, the next ones whatever of killing, pausing and
/// restarting each process is not among them; only after these 37 all is left to chance.
pub(crate) fn plan(seed: u64, faults: usize, pace: Pace) -> Vec<Fault> {
    let mut rng = Rng::with_seed(seed);
    let first = first(&mut rng);
    (0..faults)
        .map(|nth| {
            let (kind, what) = first.get(nth).copied().unwrap_or_else(|| {
                let kind = any_kind(&mut rng);
                (kind, kind.pick(&mut rng))
            });
            let gap = pace.gap.mul_f64(2.0 * rng.f64());
            // Short ones are as likely as long ones: below the time-outs and above.
            let ratio = pace.longest.div_duration_f64(SHORTEST).max(1.0);
            let length = SHORTEST.mul_f64(ratio.powf(rng.f64()));
            Fault {
                gap,
                kind,
                what,
                length,
            }
        })
        .collect()
}

/// What each plan has, in an order of its own.
fn first(rng: &mut Rng) -> Vec<(Kind, What)> {
    let mut kinds = Kind::ALL.to_vec();
    rng.shuffle(&mut kinds);
    let mut first: Vec<_> = kinds
        .into_iter()
        .map(|kind| (kind, kind.pick(rng)))
        .collect();
    let mut others: Vec<_> = Target::all()
        .flat_map(Kind::of_process)
        .filter(|it| !first.contains(it))
        .collect();
    rng.shuffle(&mut others);
    first.append(&mut others);
    first
}

/// What faults there are, apart from whom they hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "see What")]
pub(crate) enum Kind {
    KillService,
    KillServer,
    PauseService,
    PauseServer,
    RestartService,
    RestartServer,
    RedisPower,
    PostgresPower,
    BothPower,
    Backend,
    Cut,
    Silence,
    NoAnswers,
    NoRequests,
    Slow,
    Memory,
    Jump,
    Rewrite,
    Timed,
}

impl Kind {
    /// All there are.
    pub(crate) const ALL: [Self; 19] = [
        Self::KillService,
        Self::KillServer,
        Self::PauseService,
        Self::PauseServer,
        Self::RestartService,
        Self::RestartServer,
        Self::RedisPower,
        Self::PostgresPower,
        Self::BothPower,
        Self::Backend,
        Self::Cut,
        Self::Silence,
        Self::NoAnswers,
        Self::NoRequests,
        Self::Slow,
        Self::Memory,
        Self::Jump,
        Self::Rewrite,
        Self::Timed,
    ];

    /// What each process must bear.
    fn of_process(process: Target) -> [(Self, What); 3] {
        let [kill, pause, restart] = match process {
            Target::Service(_) => [Self::KillService, Self::PauseService, Self::RestartService],
            _ => [Self::KillServer, Self::PauseServer, Self::RestartServer],
        };
        [
            (kill, What::Kill(process)),
            (pause, What::Pause(process)),
            (restart, What::Restart(process)),
        ]
    }

    /// Whether without FUSE there is none of this kind.
    pub(crate) fn is_power(self) -> bool {
        matches!(
            self,
            Self::RedisPower | Self::PostgresPower | Self::BothPower
        )
    }

    /// Of a hundred faults, how many are of this kind, about.
    fn weight(self) -> u32 {
        match self {
            Self::KillService => 14,
            Self::PauseService => 12,
            Self::RestartService => 8,
            Self::RedisPower | Self::Timed => 7,
            Self::Cut | Self::Silence | Self::NoAnswers => 7,
            Self::KillServer | Self::PauseServer | Self::PostgresPower => 5,
            Self::NoRequests | Self::Slow | Self::BothPower | Self::RestartServer => 4,
            Self::Backend | Self::Memory | Self::Jump | Self::Rewrite => 3,
        }
    }

    fn pick(self, rng: &mut Rng) -> What {
        let power = |rng: &mut Rng, redis, postgres| What::PowerCut {
            redis,
            postgres,
            torn: rng.bool().then(|| rng.u64(..)),
        };
        let silent = |rng: &mut Rng, requests, answers| {
            What::Network(Cable::any(rng), Condition::Silent { requests, answers })
        };
        match self {
            Self::KillService => What::Kill(Target::any_service(rng)),
            Self::KillServer => What::Kill(Target::any_server(rng)),
            Self::PauseService => What::Pause(Target::any_service(rng)),
            Self::PauseServer => What::Pause(Target::any_server(rng)),
            Self::RestartService => What::Restart(Target::any_service(rng)),
            Self::RestartServer => What::Restart(Target::any_server(rng)),
            Self::RedisPower => power(rng, true, false),
            Self::PostgresPower => power(rng, false, true),
            Self::BothPower => power(rng, true, true),
            Self::Backend => What::Backend,
            Self::Cut => What::Network(Cable::any(rng), Condition::Cut),
            Self::Silence => silent(rng, true, true),
            Self::NoAnswers => silent(rng, false, true),
            Self::NoRequests => silent(rng, true, false),
            Self::Slow => {
                let delay = Duration::from_millis(rng.u64(5..=200));
                What::Network(Cable::any(rng), Condition::Slow(delay))
            }
            Self::Memory => What::Memory,
            // Further than anything waits. Polls with times wait for the clock to reach the ids.
            Self::Jump => What::Jump(Duration::from_millis(rng.u64(1_000..=15_000))),
            Self::Rewrite => What::Rewrite,
            Self::Timed => What::Timed(Duration::from_millis(rng.u64(500..=4_000))),
        }
    }
}

fn any_kind(rng: &mut Rng) -> Kind {
    let sum = Kind::ALL.iter().map(|kind| kind.weight()).sum();
    let mut at = rng.u32(0..sum);
    for kind in Kind::ALL {
        match at.checked_sub(kind.weight()) {
            Some(rest) => at = rest,
            None => return kind,
        }
    }
    Kind::Rewrite
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(process) => write!(f, "{process} is killed"),
            Self::Pause(process) => write!(f, "{process} stands still"),
            Self::Restart(process) => write!(f, "{process} is restarted"),
            Self::PowerCut {
                redis,
                postgres,
                torn,
            } => {
                let whose = match (redis, postgres) {
                    (true, false) => "Redis",
                    (false, true) => "Postgres",
                    _ => "Redis and Postgres",
                };
                let torn = torn.map_or("", |_| ", which tears writes");
                write!(f, "power cut of {whose}{torn}")
            }
            Self::Backend => write!(f, "a connection's process of Postgres is killed"),
            Self::Network(cable, condition) => {
                let is = match condition {
                    Condition::Normal => "is well".to_owned(),
                    Condition::Cut => "is cut".to_owned(),
                    Condition::Silent {
                        requests: true,
                        answers: true,
                    } => "is silent".to_owned(),
                    Condition::Silent { requests: true, .. } => "carries no requests".to_owned(),
                    Condition::Silent { .. } => "carries no answers".to_owned(),
                    Condition::Slow(delay) => format!("is {} ms slow", delay.as_millis()),
                    Condition::Narrow(rate) => format!("takes {rate} bytes a second"),
                };
                write!(f, "the cable {cable} {is}")
            }
            Self::Memory => write!(f, "Redis has no more memory"),
            Self::Jump(by) => write!(f, "Redis' ids jump {:.1} s ahead", by.as_secs_f64()),
            Self::Rewrite => write!(f, "Redis writes its log anew"),
            Self::Timed(lasts) => write!(f, "a poll is open for {} ms", lasts.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        gap: Duration::from_millis(500),
        longest: Duration::from_secs(5),
    };

    #[test]
    fn a_seed_always_gives_the_same_plan_and_another_seed_another() {
        assert_eq!(plan(1, 100, PACE), plan(1, 100, PACE));
        assert_ne!(plan(1, 100, PACE), plan(2, 100, PACE));
        assert_eq!(plan(1, 100, PACE)[..50], plan(1, 50, PACE));
    }

    /// A record of a run names its seed: with another version of the random numbers, other weights, or
    /// numbers drawn in another order, the seed would stand for other faults. Whoever changes the plan
    /// changes this, too, and says of the records that they are of before.
    #[test]
    fn the_plan_of_a_seed_stays_what_it_was() {
        let plan = plan(7, 1_000, PACE);
        let line = |fault: &Fault| {
            let (gap, length) = (fault.gap.as_millis(), fault.length.as_millis());
            format!("{gap} ms, {}, {length} ms", fault.what)
        };
        let lines: Vec<_> = plan.iter().map(line).collect();
        // FNV-1a, which no library changes.
        let hash = lines
            .concat()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let told = [0, 1, 2, 40, 999].map(|nth: usize| lines[nth].as_str());
        assert_eq!((told, hash), (GOLDEN, 0x5502_719c_f053_7127));
    }

    const GOLDEN: [&str; 5] = [
        "407 ms, the cable from worker 1 to Postgres carries no answers, 1330 ms",
        "918 ms, a connection's process of Postgres is killed, 4184 ms",
        "117 ms, vote 0 is restarted, 296 ms",
        "941 ms, power cut of Postgres, 992 ms",
        "277 ms, the cable from worker 0 to Redis is 189 ms slow, 71 ms",
    ];

    #[test]
    fn no_fault_is_shorter_or_longer_than_it_may_be() {
        for fault in plan(3, 1_000, PACE) {
            assert!((SHORTEST..=PACE.longest).contains(&fault.length));
            assert!(fault.gap <= PACE.gap * 2);
        }
    }

    #[test]
    fn the_first_faults_are_one_of_each_kind() {
        let plan = plan(4, Kind::ALL.len(), PACE);
        let count = |is: fn(&What) -> bool| plan.iter().filter(|fault| is(&fault.what)).count();
        assert_eq!(count(|what| matches!(what, What::Kill(_))), 2);
        assert_eq!(count(|what| matches!(what, What::PowerCut { .. })), 3);
        assert_eq!(count(|what| matches!(what, What::Network(..))), 5);
        assert_eq!(count(|what| matches!(what, What::Rewrite)), 1);
    }

    #[test]
    fn each_process_is_killed_paused_and_restarted_early_on() {
        for seed in 0..100 {
            let plan = plan(seed, 37, PACE);
            for must in Target::all().flat_map(Kind::of_process) {
                let is = |fault: &&Fault| (fault.kind, fault.what) == must;
                assert_eq!(plan.iter().filter(is).count(), 1, "{must:?}");
            }
        }
    }
}
