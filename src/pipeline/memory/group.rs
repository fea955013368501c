//! The consumer group: members, generations, and a cooperative hand-over of partitions.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::Millis;

/// One member, as the coordinator sees it.
struct Member {
    seen: Millis,
    /// What it shall have.
    target: BTreeSet<i32>,
    /// What it has; a partition is free for its next owner once the former has let go of it.
    owned: BTreeSet<i32>,
}

/// What a member learns when it polls.
pub(super) enum Change {
    /// It is no member any more and has lost all it had.
    Lost,
    /// It must let go of these.
    Revoked(Vec<i32>),
    /// It has these from now on.
    Assigned(Vec<i32>),
    /// Nothing.
    None,
}

pub(super) struct Group {
    partitions: i32,
    /// Grows with every change of membership or ownership; an offset commit must name the present one.
    pub(super) generation: i32,
    members: BTreeMap<u64, Member>,
    next_member: u64,
    /// Next offset to process by partition.
    pub(super) committed: BTreeMap<i32, i64>,
}

impl Group {
    pub(super) fn new(partitions: i32) -> Self {
        Self {
            partitions,
            generation: 0,
            members: BTreeMap::new(),
            next_member: 1,
            committed: BTreeMap::new(),
        }
    }

    pub(super) fn join(&mut self, now: Millis) -> u64 {
        let id = self.next_member;
        self.next_member += 1;
        let member = Member { seen: now, target: BTreeSet::new(), owned: BTreeSet::new() };
        self.members.insert(id, member);
        self.rebalance();
        id
    }

    pub(super) fn leave(&mut self, id: u64) {
        if self.members.remove(&id).is_some() {
            self.rebalance();
        }
    }

    /// A sign of life.
    pub(super) fn heartbeat(&mut self, id: u64, now: Millis) {
        if let Some(member) = self.members.get_mut(&id) {
            member.seen = now;
        }
    }

    pub(super) fn expire(&mut self, now: Millis, session_timeout_ms: i64) {
        let before = self.members.len();
        self.members.retain(|_, member| now.0 - member.seen.0 <= session_timeout_ms);
        if self.members.len() != before {
            self.rebalance();
        }
    }

    pub(super) fn knows(&self, id: u64) -> bool {
        self.members.contains_key(&id)
    }

    /// One step of the hand-over for this member.
    pub(super) fn change(&mut self, id: u64) -> Change {
        let taken: BTreeSet<i32> =
            self.members.values().flat_map(|member| member.owned.iter().copied()).collect();
        let Some(member) = self.members.get_mut(&id) else { return Change::Lost };
        let surplus: Vec<i32> = member.owned.difference(&member.target).copied().collect();
        if !surplus.is_empty() {
            member.owned.retain(|partition| member.target.contains(partition));
            self.generation += 1;
            return Change::Revoked(surplus);
        }
        let free: Vec<i32> = member.target.difference(&taken).copied().collect();
        if free.is_empty() {
            return Change::None;
        }
        member.owned.extend(&free);
        Change::Assigned(free)
    }

    /// Shares partitions evenly and lets everyone keep as much as that allows.
    fn rebalance(&mut self) {
        self.generation += 1;
        let count = self.members.len();
        if count == 0 {
            return;
        }
        let all = self.partitions as usize;
        let (share, rest) = (all / count, all % count);
        let mut free: BTreeSet<i32> = (0..self.partitions).collect();
        // Those with most keep the larger shares, so that the fewest partitions move.
        let mut order: Vec<u64> = self.members.keys().copied().collect();
        order.sort_by_key(|id| std::cmp::Reverse(self.members[id].target.len()));
        for (index, id) in order.iter().enumerate() {
            let quota = share + usize::from(index < rest);
            let member = self.members.get_mut(id).expect("taken from the map's own keys");
            member.target = member.target.iter().copied().take(quota).collect();
            for partition in &member.target {
                free.remove(partition);
            }
        }
        for (index, id) in order.iter().enumerate() {
            let quota = share + usize::from(index < rest);
            let member = self.members.get_mut(id).expect("taken from the map's own keys");
            while member.target.len() < quota {
                let Some(partition) = free.pop_first() else { return };
                member.target.insert(partition);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_reaches_its_next_owner_only_after_the_former_let_go() {
        let mut group = Group::new(4);
        let a = group.join(Millis(0));
        assert!(matches!(group.change(a), Change::Assigned(all) if all == [0, 1, 2, 3]));
        let b = group.join(Millis(0));
        assert!(matches!(group.change(b), Change::None));
        assert!(matches!(group.change(a), Change::Revoked(some) if some == [2, 3]));
        assert!(matches!(group.change(b), Change::Assigned(some) if some == [2, 3]));
        assert!(matches!(group.change(a), Change::None));
    }

    #[test]
    fn a_silent_member_loses_all_without_being_asked() {
        let mut group = Group::new(2);
        let a = group.join(Millis(0));
        assert!(matches!(group.change(a), Change::Assigned(_)));
        let b = group.join(Millis(50));
        let before = group.generation;
        group.expire(Millis(101), 100);
        assert!(group.generation > before);
        assert!(matches!(group.change(a), Change::Lost));
        assert!(matches!(group.change(b), Change::Assigned(all) if all == [0, 1]));
    }
}
