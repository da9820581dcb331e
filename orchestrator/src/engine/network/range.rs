//! The addresses that attempts' networks are taken from: each takes a /29, so that it has room for
//! a gateway and a container.
//!
//! Pure: which of them are taken is for an engine to find out.

use std::{fmt, net::Ipv4Addr, str::FromStr};

/// Prefix length of what an attempt takes.
const ATTEMPT: u8 = 29;

/// A range of IPv4 addresses, such as `10.213.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkRange(Subnet);

/// A network and its prefix length; no bit is set behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subnet {
    address: u32,
    prefix: u8,
}

/// Why a text names no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRange {
    /// It is nothing of the kind.
    #[error("{0:?} is not a range of IPv4 addresses; write one such as \"10.213.0.0/16\"")]
    Malformed(String),
    /// It has bits behind its prefix.
    #[error("{0:?} has bits set behind its prefix; write {1:?}")]
    HostBits(String, String),
    /// Nothing fits into it, or far too much.
    #[error("{0:?} must be between a /8 and a /29: an attempt's network takes a /29")]
    Size(String),
    /// Addresses that mean something else everywhere.
    #[error("{0:?} is not for networks: take it from 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")]
    NotPrivate(String),
}

impl NetworkRange {
    /// How many attempts it has room for.
    #[must_use]
    pub fn room(self) -> u32 {
        1 << (ATTEMPT - self.0.prefix)
    }

    /// The n-th attempt's part of it; counts around when there is no such.
    #[must_use]
    pub fn nth(self, n: u32) -> Subnet {
        let step = 1 << (32 - u32::from(ATTEMPT));
        Subnet { address: self.0.address + (n % self.room()) * step, prefix: ATTEMPT }
    }

    /// All of it.
    #[must_use]
    pub fn whole(self) -> Subnet {
        self.0
    }
}

impl Default for NetworkRange {
    fn default() -> Self {
        Self(Subnet { address: Ipv4Addr::new(10, 213, 0, 0).to_bits(), prefix: 16 })
    }
}

impl Subnet {
    /// The network that an address is in; `None` for a prefix that is none.
    #[must_use]
    pub fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        (prefix <= 32).then(|| Self { address: mask(address.to_bits(), prefix), prefix })
    }

    /// The first of its addresses, which names it.
    #[must_use]
    pub fn address(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address)
    }

    /// How many bits are the same in all of its addresses.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The host's address on it: the first that is not its name.
    #[must_use]
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address + 1)
    }

    /// Its container's address: the one after the host's.
    #[must_use]
    pub fn container(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address + 2)
    }

    /// Whether all of the other lies in it.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.overlaps(other)
    }

    /// Whether the two have an address in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let shorter = self.prefix.min(other.prefix);
        mask(self.address, shorter) == mask(other.address, shorter)
    }
}

fn mask(address: u32, prefix: u8) -> u32 {
    if prefix == 0 { 0 } else { address & (u32::MAX << (32 - u32::from(prefix))) }
}

impl FromStr for Subnet {
    type Err = BadRange;
    fn from_str(text: &str) -> Result<Self, BadRange> {
        let malformed = || BadRange::Malformed(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(malformed)?;
        let address = address.parse::<Ipv4Addr>().map_err(|_| malformed())?;
        let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = prefix.parse().ok().filter(|_| digits).ok_or_else(malformed)?;
        let whole = Self::new(address, prefix).ok_or_else(malformed)?;
        if whole.address == address.to_bits() {
            Ok(whole)
        } else {
            Err(BadRange::HostBits(text.to_owned(), whole.to_string()))
        }
    }
}

impl FromStr for NetworkRange {
    type Err = BadRange;
    fn from_str(text: &str) -> Result<Self, BadRange> {
        let whole: Subnet = text.parse()?;
        if !(8..=ATTEMPT).contains(&whole.prefix) {
            return Err(BadRange::Size(text.to_owned()));
        }
        let private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
        let within = |outer: Subnet| outer.contains(whole);
        if private.iter().any(|outer| outer.parse().is_ok_and(within)) {
            Ok(Self(whole))
        } else {
            Err(BadRange::NotPrivate(text.to_owned()))
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.address), self.prefix)
    }
}

impl fmt::Display for NetworkRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_range_is_cut_into_pieces_of_eight_addresses() {
        let range: NetworkRange = "10.213.0.0/16".parse().unwrap();
        assert_eq!(range, NetworkRange::default());
        assert_eq!(range.room(), 8192);
        assert_eq!(range.nth(0).to_string(), "10.213.0.0/29");
        assert_eq!(range.nth(33).to_string(), "10.213.1.8/29");
        assert_eq!(range.nth(33).gateway(), Ipv4Addr::new(10, 213, 1, 9));
        assert_eq!(range.nth(33).container(), Ipv4Addr::new(10, 213, 1, 10));
        assert_eq!(range.nth(8191).to_string(), "10.213.255.248/29");
        assert_eq!(range.nth(8192), range.nth(0));
        assert_eq!("192.168.7.8/29".parse::<NetworkRange>().unwrap().room(), 1);
    }

    #[test]
    fn networks_overlap_when_one_is_in_the_other() {
        let overlap = |a: &str, b: &str| {
            let (a, b): (Subnet, Subnet) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(a.overlaps(b), b.overlaps(a));
            a.overlaps(b)
        };
        assert!(overlap("10.213.0.0/16", "10.213.255.248/29"));
        assert!(overlap("0.0.0.0/0", "10.213.0.8/29"));
        assert!(!overlap("10.213.0.0/29", "10.213.0.8/29"));
        assert!(!overlap("10.212.0.0/16", "10.213.0.0/16"));
    }

    #[test]
    fn what_is_no_range_is_refused_with_what_to_write() {
        let wrong = |text: &str| text.parse::<NetworkRange>().unwrap_err().to_string();
        for text in ["", "10.213.0.0", "10.213.0.0/33", "fd00::/64", "10.213/16", "10.213.0.0/+8"] {
            assert!(wrong(text).contains("10.213.0.0/16"), "{text}: {}", wrong(text));
        }
        assert!(wrong("10.213.1.0/16").contains("\"10.213.0.0/16\""));
        assert!(wrong("10.213.0.0/30").contains("/29"));
        assert!(wrong("0.0.0.0/0").contains("/8"));
        for text in ["127.0.0.0/8", "169.254.0.0/16", "198.51.100.0/24", "172.0.0.0/8"] {
            assert!(wrong(text).contains("192.168.0.0/16"), "{text}");
        }
    }
}
