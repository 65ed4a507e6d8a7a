//! Histories of transactions and single operations on lists that only grow, and whether they are serializable.
//!
//! Every write appends its own number to the lists of some items, so that what is at an item in the end tells the order of
//! its writes, and every list that is read tells which of them it has seen. From that follow dependencies (Adya; Elle's
//! checker of lists): a write comes behind the write before it and behind whoever saw the list without it, a read behind the
//! write that it saw last. With what was over before something else began, they must have no cycle.

use std::collections::{BTreeMap, BTreeSet};

/// An item, by whatever number it is given.
pub type Key = usize;

/// A transaction, or an operation on its own.
#[derive(Clone, Debug, Default)]
pub struct Operation {
    /// What its write appends; of a read too, no two have the same.
    pub number: u32,
    /// By one clock for all.
    pub began: u64,
    /// None: nobody was answered.
    pub ended: Option<u64>,
    /// None: it is not known.
    pub done: Option<bool>,
    pub appends: Vec<Key>,
    /// How many numbers each list had that it saw, and which.
    pub saw: Vec<(Key, usize, Option<Vec<u32>>)>,
    /// It comes behind whatever was over before it began. A read of one item, on its own, may see what a transaction that is being
    /// committed is about to replace, though another item of that was seen before: it comes behind what concerned its item.
    pub in_real_time: bool,
}

impl Operation {
    /// The items that it is about.
    fn keys(&self) -> impl Iterator<Item = Key> {
        self.appends.iter().copied().chain(self.saw.iter().map(|(key, ..)| *key))
    }
}

/// What is wrong with a history that left these lists, if anything.
pub fn check(operations: &[Operation], lists: &BTreeMap<Key, Vec<u32>>) -> Result<(), String> {
    let by_number: BTreeMap<u32, usize> =
        operations.iter().enumerate().map(|(at, operation)| (operation.number, at)).collect();
    let empty = Vec::new();
    let list = |key: &Key| lists.get(key).unwrap_or(&empty);
    for (key, list) in lists {
        if list.iter().collect::<BTreeSet<_>>().len() != list.len() {
            return Err(format!("something was written twice: list {key} is {list:?}"));
        }
        for number in list {
            match by_number.get(number).map(|at| &operations[*at]) {
                Some(operation) if operation.appends.contains(key) => {}
                _ => return Err(format!("nobody wrote {number} to list {key}")),
            }
        }
    }
    let mut took_effect = vec![false; operations.len()];
    for (at, operation) in operations.iter().enumerate() {
        let there = operation.appends.iter().filter(|key| list(key).contains(&operation.number)).count();
        if there != 0 && there != operation.appends.len() {
            return Err(format!("only part of it was done: {operation:?}"));
        }
        let is_there = there > 0 || operation.appends.is_empty();
        match operation.done {
            Some(true) if !is_there => return Err(format!("it was answered, and is lost: {operation:?}")),
            Some(false) if there > 0 => return Err(format!("it was done though it failed: {operation:?}")),
            _ => {}
        }
        took_effect[at] = is_there && operation.done != Some(false);
    }
    let mut about: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for at in (0..operations.len()).filter(|at| took_effect[*at]) {
        operations[at].keys().for_each(|key| about.entry(key).or_default().push(at));
    }
    let mut behind: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); operations.len()];
    let mut order = |first: usize, then: usize| {
        if first != then {
            behind[first].insert(then);
        }
    };
    for list in lists.values() {
        for pair in list.windows(2) {
            order(by_number[&pair[0]], by_number[&pair[1]]);
        }
    }
    for (at, operation) in operations.iter().enumerate().filter(|(at, _)| took_effect[*at]) {
        for (key, length, seen) in &operation.saw {
            let list = list(key);
            if seen.as_ref().is_some_and(|seen| !list.starts_with(seen)) || *length > list.len() {
                return Err(format!("list {key} never was so: {operation:?}; it is {list:?}"));
            }
            if let Some(last) = length.checked_sub(1) {
                order(by_number[&list[last]], at);
            }
            if let Some(next) = list.get(*length) {
                order(at, by_number[next]);
            }
        }
        if operation.in_real_time {
            let in_real_time = (0..operations.len()).filter(|at| took_effect[*at] && operations[*at].in_real_time);
            just_over(in_real_time, operations, operation.began).into_iter().for_each(|earlier| order(earlier, at));
        }
        for key in operation.keys() {
            let about_it = about[&key].iter().copied();
            just_over(about_it, operations, operation.began).into_iter().for_each(|earlier| order(earlier, at));
        }
    }
    match cycle(&behind) {
        None => Ok(()),
        Some(cycle) => {
            let of: Vec<String> = cycle.into_iter().map(|at| format!("{:?}", operations[at])).collect();
            Err(format!("not serializable:\n{}", of.join("\n")))
        }
    }
}

/// Of these, those that were over before something began; but for what was over before another of them began, which comes behind by way
/// of that one.
fn just_over(among: impl Iterator<Item = usize>, operations: &[Operation], began: u64) -> Vec<usize> {
    let over: Vec<usize> = among.filter(|at| operations[*at].ended.is_some_and(|ended| ended < began)).collect();
    let latest = over.iter().map(|at| operations[*at].began).max();
    over.into_iter().filter(|at| operations[*at].ended >= latest).collect()
}

/// Nodes that follow each other in a ring, if there are any.
fn cycle(behind: &[BTreeSet<usize>]) -> Option<Vec<usize>> {
    let mut before = vec![0; behind.len()];
    behind.iter().flatten().for_each(|then| before[*then] += 1);
    let mut free: Vec<usize> = (0..behind.len()).filter(|at| before[*at] == 0).collect();
    let mut left: BTreeSet<usize> = (0..behind.len()).collect();
    while let Some(at) = free.pop() {
        left.remove(&at);
        for then in &behind[at] {
            before[*then] -= 1;
            if before[*then] == 0 {
                free.push(*then);
            }
        }
    }
    // Each that is left has one of them before it: going back, one is met again.
    let mut path = vec![*left.first()?];
    loop {
        let at = path[path.len() - 1];
        let earlier = left.iter().copied().find(|first| behind[*first].contains(&at))?;
        if let Some(from) = path.iter().position(|met| *met == earlier) {
            return Some(path.split_off(from).into_iter().rev().collect());
        }
        path.push(earlier);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(number: u32, times: (u64, u64), appends: &[Key]) -> Operation {
        let (began, ended) = (times.0, Some(times.1));
        Operation {
            number,
            began,
            ended,
            done: Some(true),
            appends: appends.to_vec(),
            in_real_time: true,
            ..Operation::default()
        }
    }

    fn read(number: u32, times: (u64, u64), saw: &[(Key, &[u32])]) -> Operation {
        let saw = saw.iter().map(|(key, list)| (*key, list.len(), Some(list.to_vec()))).collect();
        Operation { saw, ..write(number, times, &[]) }
    }

    fn lists(lists: &[(Key, &[u32])]) -> BTreeMap<Key, Vec<u32>> {
        lists.iter().map(|(key, list)| (*key, list.to_vec())).collect()
    }

    #[track_caller]
    fn refused(operations: &[Operation], of: &[(Key, &[u32])], because: &str) {
        let error = check(operations, &lists(of)).unwrap_err();
        assert!(error.contains(because), "{error}");
    }

    #[test]
    fn transactions_in_some_order_are_serializable() {
        let operations = [
            write(1, (0, 10), &[0, 1]),
            write(2, (0, 20), &[1, 2]),
            read(3, (5, 15), &[(0, &[1]), (1, &[1]), (2, &[])]),
            read(4, (30, 40), &[(1, &[1, 2]), (2, &[2])]),
        ];
        assert_eq!(check(&operations, &lists(&[(0, &[1]), (1, &[1, 2]), (2, &[2])])), Ok(()));
    }

    #[test]
    fn a_lost_a_doubled_a_partial_and_a_failed_write_are_found() {
        refused(&[write(1, (0, 1), &[0])], &[], "is lost");
        refused(&[write(1, (0, 1), &[0])], &[(0, &[1, 1])], "written twice");
        refused(&[write(1, (0, 1), &[0, 1])], &[(0, &[1])], "only part");
        let failed = Operation { done: Some(false), ..write(1, (0, 1), &[0]) };
        refused(&[failed], &[(0, &[1])], "though it failed");
        refused(&[write(1, (0, 1), &[0])], &[(0, &[1]), (1, &[5])], "nobody wrote 5");
    }

    #[test]
    fn a_read_of_what_never_was_is_found() {
        refused(&[write(1, (0, 1), &[0]), read(2, (0, 1), &[(0, &[7])])], &[(0, &[1])], "never was so");
    }

    #[test]
    fn a_read_of_half_a_transaction_is_found() {
        let operations = [write(1, (0, 10), &[0, 1]), read(2, (0, 10), &[(0, &[1]), (1, &[])])];
        refused(&operations, &[(0, &[1]), (1, &[1])], "not serializable");
    }

    #[test]
    fn two_transactions_in_different_orders_are_found() {
        let operations = [write(1, (0, 10), &[0, 1]), write(2, (0, 10), &[0, 1])];
        refused(&operations, &[(0, &[1, 2]), (1, &[2, 1])], "not serializable");
    }

    #[test]
    fn write_skew_is_found() {
        let mut one = write(1, (0, 10), &[0]);
        one.saw = vec![(1, 0, None)];
        let mut two = write(2, (0, 10), &[1]);
        two.saw = vec![(0, 0, None)];
        refused(&[one, two], &[(0, &[1]), (1, &[2])], "not serializable");
    }

    #[test]
    fn a_read_of_what_was_is_found_unless_it_may_be_behind() {
        let mut operations =
            [write(1, (0, 50), &[0, 1]), read(2, (10, 20), &[(1, &[1])]), read(3, (30, 40), &[(0, &[])])];
        let of: &[(Key, &[u32])] = &[(0, &[1]), (1, &[1])];
        refused(&operations, of, "not serializable");
        operations[2].in_real_time = false;
        assert_eq!(check(&operations, &lists(of)), Ok(()), "the write is not acknowledged yet");
    }

    #[test]
    fn a_read_of_one_item_that_misses_what_was_over_there_is_found() {
        fn alone(number: u32, times: (u64, u64), saw: &[(Key, &[u32])]) -> Operation {
            Operation { in_real_time: false, ..read(number, times, saw) }
        }
        let of: &[(Key, &[u32])] = &[(0, &[1]), (1, &[1])];
        let missed = alone(2, (20, 30), &[(0, &[])]);
        refused(&[write(1, (0, 10), &[0, 1]), missed], of, "not serializable");
        let under_way = Operation { ended: None, done: None, ..write(1, (0, 0), &[0, 1]) };
        let saw = alone(2, (20, 30), &[(0, &[1])]);
        let goes_back = alone(3, (40, 50), &[(0, &[])]);
        refused(&[under_way.clone(), saw.clone(), goes_back], of, "not serializable");
        let elsewhere = alone(3, (40, 50), &[(1, &[])]);
        assert_eq!(check(&[under_way, saw, elsewhere], &lists(of)), Ok(()), "it is applied there later");
    }

    #[test]
    fn what_was_over_long_before_is_behind_nothing_that_came_since() {
        let between = write(2, (20, 30), &[1]);
        let operations = [write(1, (0, 10), &[0]), between, read(3, (40, 50), &[(0, &[])])];
        refused(&operations, &[(0, &[1]), (1, &[2])], "not serializable");
    }

    #[test]
    fn what_is_not_known_may_be_done_or_not() {
        let unknown = Operation { done: None, ended: None, ..write(1, (0, 0), &[0]) };
        assert_eq!(check(std::slice::from_ref(&unknown), &lists(&[])), Ok(()));
        assert_eq!(check(&[unknown], &lists(&[(0, &[1])])), Ok(()));
    }
}
