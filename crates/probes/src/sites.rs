//! Which instructions of a function to watch: one that every call passes with its arguments in place, and a set of which
//! every return passes exactly one with its result in place.

use crate::code::{Flow, Registers};
use crate::graph::{End, Graph};

/// Steps that are tried as an entry. They lie at the beginning or nowhere.
const MAX_ENTRY_STEPS: usize = 64;

/// The first emulated step that every way through the function passes once, and before which nothing in `keep` was
/// written.
pub fn entry(graph: &Graph, keep: Registers) -> Option<usize> {
    let mut at = 0;
    for _ in 0..MAX_ENTRY_STEPS {
        let step = graph.steps.get(at)?;
        if step.emulated && passed_once(graph, at) {
            return Some(at);
        }
        if step.writes & keep != 0 || step.is_call() {
            return None;
        }
        // Behind a branch, the way on is the straight one: Go's check of the stack jumps away when it must grow.
        at = match step.flow {
            Flow::Jump(_) => *graph.next.get(at)?.first()?,
            _ => *graph
                .next
                .get(at)?
                .iter()
                .find(|next| graph.steps.get(**next).is_some_and(|to| to.address == step.end()))?,
        };
    }
    None
}

/// Whether each way from the entry to an end passes the step exactly once. Ways that never end do not count.
fn passed_once(graph: &Graph, step: usize) -> bool {
    let around = reach(graph, &[0], Some(step));
    let again = graph.next.get(step).map(|next| reach(graph, next, None)).unwrap_or_default();
    let avoided = graph.ends.iter().any(|(end, _)| *end != step && around.get(*end).copied().unwrap_or(true));
    !avoided && !again.get(step).copied().unwrap_or(true)
}

/// Which steps can be reached from `from` without going through `without`.
fn reach(graph: &Graph, from: &[usize], without: Option<usize>) -> Vec<bool> {
    let mut seen = vec![false; graph.steps.len()];
    let mut open = from.to_vec();
    while let Some(at) = open.pop() {
        if Some(at) == without {
            continue;
        }
        if let Some(seen) = seen.get_mut(at)
            && !std::mem::replace(seen, true)
        {
            open.extend(graph.next.get(at).into_iter().flatten());
        }
    }
    seen
}

/// The steps from which an end can be reached. A call that never returns leads nowhere.
fn living(graph: &Graph, before: &[Vec<usize>]) -> Vec<bool> {
    let ends: Vec<usize> = graph.ends.iter().map(|(end, _)| *end).collect();
    let backwards = |at: usize| before.get(at).cloned().unwrap_or_default();
    spread(graph.steps.len(), ends, backwards)
}

fn spread(count: usize, mut open: Vec<usize>, next: impl Fn(usize) -> Vec<usize>) -> Vec<bool> {
    let mut seen = vec![false; count];
    while let Some(at) = open.pop() {
        if let Some(seen) = seen.get_mut(at)
            && !std::mem::replace(seen, true)
        {
            open.extend(next(at));
        }
    }
    seen
}

fn predecessors(graph: &Graph) -> Vec<Vec<usize>> {
    let mut before = vec![Vec::new(); graph.steps.len()];
    for (at, next) in graph.next.iter().enumerate() {
        for to in next {
            if let Some(before) = before.get_mut(*to) {
                before.push(at);
            }
        }
    }
    before
}

/// Emulated steps of which every way to a return passes exactly one, and behind which `result` is not written any more.
///
/// Each moment before and after a step gets a number: 0 while no site was passed, 1 when one was. The numbers change at
/// sites only, so those on both sides of every other step are the same, as are those at both ends of each way from step to
/// step. Moments that must be the same are joined; then what must be 1 is followed from the returns, and the sites are
/// where a 0 meets a 1. If the entry must be 1, there is no such set.
pub fn exits(graph: &Graph, result: Registers) -> Option<Vec<usize>> {
    if graph.ends.is_empty() || graph.ends.iter().any(|(_, end)| *end != End::Return) {
        return None;
    }
    let before = predecessors(graph);
    let living = living(graph, &before);
    let lives = |at: usize| living.get(at).copied().unwrap_or(false);
    let changes = |at: usize| graph.steps.get(at).is_none_or(|step| step.writes & result != 0 || step.is_call());
    // From where a change can still come, the step itself included.
    let changing: Vec<usize> = (0..graph.steps.len()).filter(|at| lives(*at) && changes(*at)).collect();
    let unsettled = spread(graph.steps.len(), changing, |at| before.get(at).cloned().unwrap_or_default());
    let candidate = |at: usize| lives(at) && !unsettled[at] && graph.steps[at].emulated;

    let mut moments = Moments::new(graph.steps.len() * 2);
    let (into, out) = (|at: usize| at * 2, |at: usize| at * 2 + 1);
    for at in (0..graph.steps.len()).filter(|at| lives(*at)) {
        if !candidate(at) {
            moments.join(into(at), out(at));
        }
        graph.next[at].iter().filter(|next| lives(**next)).for_each(|next| moments.join(out(at), into(*next)));
    }
    let candidates: Vec<usize> = (0..graph.steps.len()).filter(|at| candidate(*at)).collect();
    let passed = passed(graph, &mut moments, &candidates);
    if passed[moments.root(into(0))] {
        return None;
    }
    let sites = candidates.into_iter().filter(|at| !passed[moments.root(into(*at))] && passed[moments.root(out(*at))]);
    Some(sites.collect::<Vec<_>>()).filter(|sites| !sites.is_empty())
}

/// The joined moments that must lie behind a site: all returns, and what can only be reached from such.
fn passed(graph: &Graph, moments: &mut Moments, candidates: &[usize]) -> Vec<bool> {
    let mut passed = vec![false; graph.steps.len() * 2];
    for (end, _) in &graph.ends {
        passed[moments.root(end * 2 + 1)] = true;
    }
    loop {
        let mut changed = false;
        for at in candidates {
            let (into, out) = (moments.root(at * 2), moments.root(at * 2 + 1));
            changed |= passed[into] && !std::mem::replace(&mut passed[out], true);
        }
        if !changed {
            return passed;
        }
    }
}

/// Sets of moments with the same number.
struct Moments {
    parents: Vec<usize>,
}

impl Moments {
    fn new(count: usize) -> Moments {
        Moments { parents: (0..count).collect() }
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parents[at] != at {
            self.parents[at] = self.parents[self.parents[at]];
            at = self.parents[at];
        }
        at
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.parents[one] = other;
    }
}
