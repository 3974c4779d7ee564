//! Runs a scenario once for each schedule: a thread for each CPU, of which one at a time may take a step, and a
//! look at the tables after each step.
//!
//! This is no memory model. A call of `Tables` is atomic by its contract, so what is to be explored is the order
//! of whole calls; a model checker for atomics (loom) would add its own objects to each call, know nothing of
//! which calls concern each other, and could not look at the tables between two steps.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use netlab_common::abi::flow::{Kind, life};
use netlab_common::abi::verdict::Disposition;
use netlab_common::conntrack::state;
use netlab_common::fake::MemTables;

use super::cpu::{Act, Cpu};
use super::pieces::{Around, reached};
use super::plan::{Plan, Touch};
use super::world::World;
use crate::kit::checks;
use crate::kit::lab::{Chance, Outcome, START};

/// How far to search.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// How often a CPU may be interrupted.
    pub preemptions: usize,
}

/// Preemptions that are enough to find any of the bugs that were ever found, and one more where there is time.
pub fn depth() -> Depth {
    let long = std::env::var_os("NETLAB_LONG").is_some();
    Depth { preemptions: if long { 3 } else { 2 } }
}

/// What CPUs do at once, and from where.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// How things stand.
    pub tables: MemTables,
    /// What each CPU does.
    pub cpus: Vec<Vec<Act>>,
    /// The time of each CPU.
    pub clocks: Vec<u32>,
    /// A claim looks first and takes then, which is wrong; to see that it is found out.
    pub torn: bool,
}

impl Scenario {
    /// CPUs whose clocks say the same.
    pub fn new(tables: MemTables, cpus: Vec<Vec<Act>>) -> Self {
        let clocks = vec![START; cpus.len()];
        Scenario { tables, cpus, clocks, torn: false }
    }

    /// The same so many ticks later.
    pub fn after(mut self, ticks: u32) -> Self {
        self.clocks.fill(START + ticks);
        let mut pulse = self.tables.pulse.get();
        pulse.swept = START + ticks;
        self.tables.pulse.set(pulse);
        self
    }
}

/// How a run ended.
pub struct End<'a> {
    pub tables: &'a MemTables,
    /// What became of each CPU's packets; its other acts have no outcome.
    pub outcomes: &'a [Vec<Outcome>],
}

/// Where all CPUs take their steps.
pub struct Stage {
    scene: Mutex<Scene>,
    /// One for each CPU, and one for whoever waits for the end of a run.
    wake: Vec<Condvar>,
    /// See [`Scenario::torn`].
    pub torn: bool,
    /// See [`reached`].
    pub reached: BTreeSet<u32>,
}

struct Scene {
    world: World,
    plan: Plan,
    /// Whose turn it is; nobody's between runs.
    turn: Option<usize>,
    run: u64,
    over: bool,
    done: Vec<bool>,
    outcomes: Vec<Vec<Outcome>>,
    steps: Vec<(usize, &'static str, Vec<Touch>)>,
    assured: Vec<(usize, u32)>,
    failure: Option<String>,
}

/// Runs a scenario once for each schedule. Gives how many there were.
///
/// # Panics
/// When an invariant or `check` fails, with the schedule in which it does.
pub fn explore(scenario: &Scenario, depth: Depth, check: impl Fn(&End<'_>)) -> u64 {
    match search(scenario, depth, check) {
        Ok(schedules) => {
            // Shown where a test fails, or with its output.
            let _ = writeln!(std::io::stderr(), "{schedules} schedules");
            schedules
        }
        Err(failure) => panic!("{failure}"),
    }
}

/// Every packet was translated.
pub fn went_on(end: &End<'_>) {
    for outcome in end.outcomes.iter().flatten() {
        assert_eq!(outcome.verdict.disposition(), Disposition::Forwarded, "{outcome:?}");
    }
}

/// As [`explore`], with the failure as a value.
pub fn search(scenario: &Scenario, depth: Depth, check: impl Fn(&End<'_>)) -> Result<u64, String> {
    let cpus = scenario.cpus.len();
    let stage = Stage {
        scene: Mutex::new(Scene::new(scenario, Plan::new(cpus, depth.preemptions))),
        wake: (0..=cpus).map(|_| Condvar::new()).collect(),
        torn: scenario.torn,
        reached: reached(&scenario.tables, &scenario.cpus),
    };
    std::thread::scope(|scope| {
        for (me, (acts, clock)) in scenario.cpus.iter().zip(&scenario.clocks).enumerate() {
            let stage = &stage;
            scope.spawn(move || stage.work(me, acts, *clock));
        }
        let found = stage.direct(scenario, &check);
        stage.lock().over = true;
        stage.wake.iter().for_each(Condvar::notify_all);
        found
    })
}

impl Scene {
    fn new(scenario: &Scenario, plan: Plan) -> Self {
        let cpus = scenario.cpus.len();
        Scene {
            world: World::new(&scenario.tables),
            plan,
            turn: None,
            run: 0,
            over: false,
            done: vec![false; cpus],
            outcomes: vec![vec![]; cpus],
            steps: vec![],
            assured: vec![],
            failure: None,
        }
    }

    fn begin(&mut self, scenario: &Scenario) -> usize {
        self.world = World::new(&scenario.tables);
        self.run += 1;
        self.done.fill(false);
        self.outcomes.fill(vec![]);
        self.steps.clear();
        self.assured.clear();
        self.pass_on(None).expect("a scenario has a CPU")
    }

    /// Chooses whose turn it is.
    fn pass_on(&mut self, current: Option<usize>) -> Option<usize> {
        let ready: Vec<_> = (0..self.done.len()).filter(|&cpu| !self.done[cpu]).collect();
        self.turn = if ready.is_empty() { None } else { Some(self.plan.choose(current, &ready)) };
        self.turn
    }

    /// Looks at the tables after a step that changed them.
    fn look(&mut self) {
        if self.failure.is_some() {
            return;
        }
        let gone = self.assured.iter().find(|&&(slot, generation)| {
            let head = self.world.flows.borrow()[slot].head;
            head.generation != generation
        });
        self.failure = match gone {
            Some(flow) => Some(format!("an assured flow was taken away (slot, generation): {flow:?}")),
            None => checks::at_any_moment(&self.world).err(),
        };
        self.assured.clear();
        for (slot, flow) in self.world.flows.borrow().iter().enumerate() {
            let head = flow.head;
            let recent = flow.counters.last_seen.wrapping_sub(START) as i32 >= 0;
            if head.life == life::LIVE
                && head.kind == Kind::Flow as u8
                && recent
                && state::is_assured(head.original.protocol, head.state)
            {
                self.assured.push((slot, head.generation));
            }
        }
    }

    /// The steps of this run, a line for each.
    fn story(&self) -> String {
        let line = |(cpu, what, touches): &(usize, &str, Vec<Touch>)| {
            let indent = " ".repeat(40 * cpu);
            format!("{indent}{what} {}\n", touches.last().map(Touch::place).unwrap_or_default())
        };
        self.steps.iter().map(line).collect()
    }
}

impl Stage {
    fn lock(&self) -> MutexGuard<'_, Scene> {
        // A CPU that panics fails the run; the others end theirs all the same.
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One step of a CPU, which others may come before.
    pub fn step<R>(
        &self,
        me: usize,
        name: &'static str,
        touches: &[Touch],
        act: impl FnOnce(&World) -> R,
    ) -> R {
        let mut scene = self.lock();
        let next = scene.pass_on(Some(me)).expect("this CPU is not done");
        if next != me {
            self.wake[next].notify_one();
            scene = self.wake[me]
                .wait_while(scene, |scene| scene.turn != Some(me))
                .unwrap_or_else(PoisonError::into_inner);
        }
        scene.plan.took(me, touches);
        scene.steps.push((me, name, touches.to_vec()));
        let result = act(&scene.world);
        if touches.iter().any(|touch| touch.writes) {
            scene.look();
        }
        result
    }

    /// A look at what no CPU writes, or a count that no CPU reads: nobody needs to come between.
    pub fn aside<R>(&self, act: impl FnOnce(&MemTables) -> R) -> R {
        act(&self.lock().world)
    }

    /// A CPU's thread: its acts, once each run.
    fn work(&self, me: usize, acts: &[Act], clock: u32) {
        let mut seen = 0;
        loop {
            let scene = self.wake[me]
                .wait_while(self.lock(), |scene| !scene.over && (scene.run == seen || scene.turn != Some(me)))
                .unwrap_or_else(PoisonError::into_inner);
            if scene.over {
                return;
            }
            seen = scene.run;
            drop(scene);
            let cpu = Cpu::new(self, me);
            let env = Around::new(&cpu, Chance::new(clock, me as u64));
            let played = catch_unwind(AssertUnwindSafe(|| {
                acts.iter().flat_map(|act| act.play(&cpu, &env)).collect::<Vec<_>>()
            }));
            let mut scene = self.lock();
            match played {
                Ok(outcomes) => scene.outcomes[me] = outcomes,
                Err(_) => scene.failure = Some(format!("CPU {me} panicked; see above")),
            }
            scene.done[me] = true;
            let next = scene.pass_on(None).unwrap_or(self.done_bell());
            self.wake[next].notify_one();
        }
    }

    fn done_bell(&self) -> usize {
        self.wake.len() - 1
    }

    /// Has one run after the other made.
    fn direct(&self, scenario: &Scenario, check: &impl Fn(&End<'_>)) -> Result<u64, String> {
        let mut schedules = 0;
        loop {
            let mut scene = self.lock();
            let first = scene.begin(scenario);
            self.wake[first].notify_one();
            let mut scene = self.wake[self.done_bell()]
                .wait_while(scene, |scene| scene.turn.is_some())
                .unwrap_or_else(PoisonError::into_inner);
            schedules += 1;
            if let Err(failure) = judge(&mut scene, scenario, check) {
                return Err(format!("{failure}\nschedule {schedules}:\n{}", scene.story()));
            }
            if !scene.plan.turn_over() {
                return Ok(schedules);
            }
        }
    }
}

/// Whether a run that is over came out as it must.
fn judge(scene: &mut Scene, scenario: &Scenario, check: &impl Fn(&End<'_>)) -> Result<(), String> {
    if let Some(failure) = scene.failure.take() {
        return Err(failure);
    }
    checks::at_rest(&scene.world)?;
    let end = End { tables: &scene.world, outcomes: &scene.outcomes };
    catch_unwind(AssertUnwindSafe(|| check(&end))).map_err(|_| "the check failed; see above".to_owned())?;
    let latest = scenario.clocks.iter().copied().max().unwrap_or(START);
    checks::leaves_nothing(&scene.world, &Chance::new(latest, 0))
}
