//! Which part of the range an attempt's network takes: the first that nobody has, as far as is known,
//! counted from a place that its name alone tells.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::Ipv4Addr,
};

use crate::engine::{ContainerId, NetworkRange, Subnet};

/// How many are tried that others took in the meantime.
const TRIES: usize = 32;

/// Those to try, in this order.
pub(in crate::engine) fn free(
    range: NetworkRange,
    id: &ContainerId,
    taken: &[Subnet],
) -> impl Iterator<Item = Subnet> {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let start = u32::try_from(hasher.finish() % u64::from(range.room())).unwrap_or_default();
    (0..range.room())
        .map(move |n| range.nth(start + n))
        .filter(|subnet| !taken.iter().any(|other| other.overlaps(*subnet)))
        .take(TRIES)
}

/// Networks that this host has routes to and that lie within the range. A route that is wider than
/// the range, as a VPN's may be, takes none of it: ours are nearer.
pub(in crate::engine) async fn routes(range: NetworkRange) -> Vec<Subnet> {
    within(range, &table().await)
}

/// Networks that this host reaches by devices whose names begin so.
pub(in crate::engine) async fn behind(prefix: &str) -> Vec<Subnet> {
    let table = table().await;
    let routes = parsed(&table).filter(|(_, device)| device.starts_with(prefix));
    routes.map(|(subnet, _)| subnet).collect()
}

/// What a person should know of routes that have addresses in common with the range.
pub(in crate::engine) async fn collisions(range: NetworkRange) -> Vec<String> {
    let all = colliding_in(range, &table().await);
    let words = all.into_iter().map(|(route, device)| {
        format!(
            "this host has a route to {route} by {device}, which urls.networks ({range}) collides \
             with: an attempt may cover addresses there. Name another range"
        )
    });
    words.collect()
}

/// Those to attempts are meant to.
fn colliding_in(range: NetworkRange, table: &str) -> Vec<(Subnet, String)> {
    let routes = parsed(table).filter(|(subnet, _)| subnet.overlaps(range.whole()));
    let routes = routes.filter(|(_, device)| !device.starts_with("fy"));
    routes.map(|(subnet, device)| (subnet, device.to_owned())).collect()
}

async fn table() -> String {
    tokio::fs::read_to_string("/proc/net/route").await.unwrap_or_default()
}

fn within(range: NetworkRange, table: &str) -> Vec<Subnet> {
    let inside = |subnet: &Subnet| range.whole().contains(*subnet);
    parsed(table).map(|(subnet, _)| subnet).filter(inside).collect()
}

/// Every route but the default ones.
fn parsed(table: &str) -> impl Iterator<Item = (Subnet, &str)> {
    table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (device, destination) = (fields.next()?, fields.next()?);
        let mask = fields.nth(5)?;
        // The kernel prints as a number what it keeps in the order of the network.
        let number = |hex| u32::from_str_radix(hex, 16).ok().map(u32::from_be);
        let (destination, mask) = (number(destination)?, number(mask)?);
        let subnet =
            Subnet::new(Ipv4Addr::from_bits(destination), u8::try_from(mask.count_ones()).ok()?)?;
        (mask != 0).then_some((subnet, device))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fileyard_storage::id::{AttemptNo, InstallId, JobId};

    use super::*;

    const TABLE: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n\
        eth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n\
        eth1\t0005D50A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
        fyabcdel234567a\t0007D50A\t00000000\t0001\t0\t0\t0\tF8FFFFFF\t0\t0\t0\n";

    fn attempt() -> ContainerId {
        ContainerId { install: InstallId::new(), job: JobId::new(), attempt: AttemptNo(1) }
    }

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_taken_is_stepped_over_and_all_that_is_free_is_found() {
        let range: NetworkRange = "10.9.0.0/27".parse().unwrap();
        let taken = [subnet("10.9.0.8/29"), subnet("10.9.0.20/32")];
        let mut found: Vec<_> = free(range, &attempt(), &taken).collect();
        found.sort();
        assert_eq!(found, [subnet("10.9.0.0/29"), subnet("10.9.0.24/29")]);
        assert_eq!(free(range, &attempt(), &[subnet("10.0.0.0/8")]).count(), 0);
    }

    #[test]
    fn attempts_begin_to_look_in_different_places() {
        let range = NetworkRange::default();
        let first = |id| free(range, &id, &[]).next().unwrap();
        let mut firsts: Vec<_> = (0..20).map(|_| first(attempt())).collect();
        firsts.sort();
        firsts.dedup();
        assert!(firsts.len() > 10, "{firsts:?}");
        let id = attempt();
        assert_eq!(first(id), first(id));
    }

    #[test]
    fn routes_within_the_range_take_from_it_and_wider_ones_are_only_told_of() {
        let range = NetworkRange::default();
        assert_eq!(within(range, TABLE), [subnet("10.213.5.0/24"), subnet("10.213.7.0/29")]);
        let told: Vec<_> = colliding_in(range, TABLE);
        assert_eq!(
            told,
            [
                (subnet("10.0.0.0/8"), "tun0".to_owned()),
                (subnet("10.213.5.0/24"), "eth1".to_owned()),
            ]
        );
    }
}
