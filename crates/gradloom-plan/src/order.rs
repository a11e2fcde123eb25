//! [`Order`]: groups in an order in which they can run, kept valid while dependencies are added.
//!
//! A new dependency that fits the order costs nothing; otherwise only the part of the order between
//! its ends moves (Pearce and Kelly, "A dynamic topological sort algorithm for directed acyclic graphs",
//! 2006). Searches are bounded, so that deciding about a join never costs more than the join is worth.

use rustc_hash::FxHashSet;

/// Groups that a search looks at before it gives up.
const VISITS_MAX: usize = 2048;

/// An acyclic graph of groups with an order of them.
#[derive(Debug, Default)]
pub(crate) struct Order {
    position: Vec<usize>,
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
}

impl Order {
    /// A new group without dependencies, last in the order.
    pub(crate) fn add(&mut self) -> usize {
        self.position.push(self.position.len());
        self.before.push(Vec::new());
        self.after.push(Vec::new());
        self.position.len() - 1
    }

    /// Groups that depend on a group directly.
    pub(crate) fn users(&self, group: usize) -> &[usize] {
        &self.after[group]
    }

    /// Whether `last` depends on `first`, directly or not; `None` if that takes too long to say.
    pub(crate) fn depends(&self, last: usize, first: usize) -> Option<bool> {
        self.reaches(&[first], &[last])
    }

    /// Whether some group runs between two of which the second depends on the first.
    pub(crate) fn runs_between(&self, first: usize, second: usize) -> Option<bool> {
        let others: Vec<usize> =
            self.after[first].iter().copied().filter(|&user| user != second).collect();
        self.reaches(&others, &[second])
    }

    /// Whether one of `ends` is one of `starts` or depends on one.
    fn reaches(&self, starts: &[usize], ends: &[usize]) -> Option<bool> {
        let last = ends.iter().map(|&end| self.position[end]).max()?;
        let mut stack: Vec<usize> =
            starts.iter().copied().filter(|&start| self.position[start] <= last).collect();
        let mut seen: FxHashSet<usize> = stack.iter().copied().collect();
        while let Some(group) = stack.pop() {
            if ends.contains(&group) {
                return Some(true);
            }
            for &user in &self.after[group] {
                if self.position[user] <= last && seen.insert(user) {
                    stack.push(user);
                }
            }
            if seen.len() > VISITS_MAX {
                return None;
            }
        }
        Some(false)
    }

    /// Whether a group may come to depend on others without a cycle.
    pub(crate) fn may_depend(&self, group: usize, others: &[usize]) -> bool {
        let later: Vec<usize> = others
            .iter()
            .copied()
            .filter(|&other| other != group && self.position[other] > self.position[group])
            .collect();
        later.is_empty() || self.reaches(&[group], &later) == Some(false)
    }

    /// Lets a group depend on another. The caller knows that this makes no cycle.
    pub(crate) fn depend(&mut self, group: usize, other: usize) {
        if group == other || self.before[group].contains(&other) {
            return;
        }
        if self.position[other] > self.position[group] {
            self.reorder(other, group);
        }
        self.before[group].push(other);
        self.after[other].push(group);
    }

    /// Makes two groups one, which keeps the first's number. The caller knows that this makes no cycle.
    pub(crate) fn merge(&mut self, first: usize, second: usize) {
        for other in std::mem::take(&mut self.before[second]) {
            self.after[other].retain(|&user| user != second);
            self.depend(first, other);
        }
        for user in std::mem::take(&mut self.after[second]) {
            self.before[user].retain(|&other| other != second);
            self.depend(user, first);
        }
    }

    /// Moves `first`, and what it depends on, before `second` and what depends on that.
    fn reorder(&mut self, first: usize, second: usize) {
        let (low, high) = (self.position[second], self.position[first]);
        let mut earlier = self.collect(first, &self.before, |position| position > low);
        let mut later = self.collect(second, &self.after, |position| position < high);
        earlier.sort_unstable_by_key(|&group| self.position[group]);
        later.sort_unstable_by_key(|&group| self.position[group]);
        earlier.append(&mut later);
        let mut places: Vec<usize> = earlier.iter().map(|&group| self.position[group]).collect();
        places.sort_unstable();
        for (group, place) in earlier.into_iter().zip(places) {
            self.position[group] = place;
        }
    }

    fn collect(
        &self,
        start: usize,
        edges: &[Vec<usize>],
        within: impl Fn(usize) -> bool,
    ) -> Vec<usize> {
        let mut found = vec![start];
        let mut seen: FxHashSet<usize> = std::iter::once(start).collect();
        let mut next = 0;
        while next < found.len() {
            for &other in &edges[found[next]] {
                if within(self.position[other]) && seen.insert(other) {
                    found.push(other);
                }
            }
            next += 1;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::Order;

    #[test]
    fn an_order_holds_while_dependencies_come() {
        let mut order = Order::default();
        for _ in 0..6 {
            order.add();
        }
        for (group, other) in [(1, 0), (3, 2), (0, 3), (4, 1), (5, 4), (2, 5)] {
            if order.may_depend(group, &[other]) {
                order.depend(group, other);
            }
        }
        // The last one would close a circle.
        assert_eq!(order.depends(4, 2), Some(true));
        assert_eq!(order.depends(2, 5), Some(false));
        for group in 0..6 {
            for &other in &order.before[group] {
                assert!(order.position[other] < order.position[group]);
            }
        }
    }

    #[test]
    fn merged_groups_keep_all_dependencies() {
        let mut order = Order::default();
        for _ in 0..5 {
            order.add();
        }
        order.depend(1, 0);
        order.depend(4, 3);
        order.depend(3, 2);
        order.merge(1, 3);
        assert_eq!(order.depends(1, 2), Some(true));
        assert_eq!(order.depends(4, 0), Some(true));
        assert_eq!(order.runs_between(2, 4), Some(true));
        assert_eq!(order.runs_between(1, 4), Some(false));
    }
}
