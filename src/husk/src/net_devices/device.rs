//! One interface on its way from the host into a container.

use super::netlink::{
    DUMP, GET_ADDRESS, GET_LINK, GET_ROUTE, MAKE, NEW_ADDRESS, NEW_LINK, NEW_ROUTE, Netlink,
    attribute, attributes, number,
};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, OwnedFd};

/// Sizes of `struct ifinfomsg`, `ifaddrmsg` and `rtmsg`.
const LINK: usize = 16;
const ADDRESS: usize = 8;
const ROUTE: usize = 12;

/// Where the index stands in the first two.
const LINK_INDEX: usize = 4;
const ADDRESS_INDEX: usize = 4;

const UP: u32 = 1;
const LOOPBACK: u32 = 8;

const LINK_NAME: u16 = 3;
const LINK_NAMESPACE: u16 = 28;

/// An interface of the host.
#[derive(Debug)]
pub struct Device {
    index: u32,
    flags: u32,
}

/// An interface that has been moved, and what it had before.
#[derive(Debug)]
pub struct Inside {
    index: u32,
    addresses: Vec<Vec<u8>>,
    routes: Vec<Vec<u8>>,
}

fn link(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut body = vec![0; LINK_INDEX];
    body.extend(index.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    body.extend(change.to_ne_bytes());
    body
}

fn with_nul(name: &str) -> Vec<u8> {
    let mut name = name.as_bytes().to_vec();
    name.push(0);
    name
}

impl Device {
    /// The interface of that name.
    ///
    /// # Errors
    /// `ENODEV` when there is none.
    pub fn find(network: &mut Netlink, name: &str) -> Result<Self, Errno> {
        let mut body = link(0, 0, 0);
        attribute(&mut body, LINK_NAME, &with_nul(name));
        let answer = network.ask(GET_LINK, 0, &body)?;
        let found = answer.iter().find(|message| message.kind == NEW_LINK).ok_or(Errno::ENODEV)?;
        let index = number(&found.body, LINK_INDEX).ok_or(Errno::EBADMSG)?;
        let flags = number(&found.body, 8).ok_or(Errno::EBADMSG)?;
        Ok(Self { index, flags })
    }

    /// Whether it is the loopback interface.
    pub fn is_loopback(&self) -> bool {
        self.flags & LOOPBACK != 0
    }

    /// Moves the interface and gives it its name there.
    ///
    /// # Errors
    /// `EEXIST` when the name is taken, `EINVAL` when it is of a kind that cannot move.
    pub fn move_to(
        &self,
        host: &mut Netlink,
        inside: &mut Netlink,
        namespace: &OwnedFd,
        target: &str,
    ) -> Result<Inside, Errno> {
        let addresses = addresses(host, self.index)?;
        let routes = routes(host, self.index)?;
        let before = names(inside)?;
        if before.iter().any(|(_, name)| name == target) {
            return Err(Errno::EEXIST);
        }
        let mut body = link(self.index, 0, 0);
        let descriptor = namespace.as_raw_fd().to_ne_bytes();
        attribute(&mut body, LINK_NAMESPACE, &descriptor);
        attribute(&mut body, LINK_NAME, &with_nul(target));
        host.ask(NEW_LINK, 0, &body)?;
        // Its index may be another one there.
        let template = Template(target);
        let is_new = |(index, name): &(u32, String)| {
            template.fits(name) && !before.iter().any(|(old, _)| old == index)
        };
        let index = names(inside)?.into_iter().find(is_new).map(|(index, _)| index);
        Ok(Inside { index: index.ok_or(Errno::ENODEV)?, addresses, routes })
    }
}

impl Inside {
    /// Gives the interface back what it had, and sets it up.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn set_up(&self, network: &mut Netlink) -> Result<(), Errno> {
        for address in &self.addresses {
            let mut address = address.clone();
            if let Some(place) = address.get_mut(ADDRESS_INDEX..ADDRESS) {
                place.copy_from_slice(&self.index.to_ne_bytes());
            }
            match network.ask(NEW_ADDRESS, MAKE, &address) {
                Ok(_) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        network.ask(NEW_LINK, 0, &link(self.index, UP, UP))?;
        for route in &self.routes {
            let mut route = route.clone();
            attribute(&mut route, ROUTE_DEVICE, &self.index.to_ne_bytes());
            match network.ask(NEW_ROUTE, MAKE, &route) {
                // One that the address has brought along, or whose gateway is not behind this
                // interface alone.
                Ok(_) | Err(Errno::EEXIST | Errno::ENETUNREACH | Errno::EHOSTUNREACH) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

/// Index and name of every interface.
fn names(network: &mut Netlink) -> Result<Vec<(u32, String)>, Errno> {
    let answer = network.ask(GET_LINK, DUMP, &link(0, 0, 0))?;
    let one = |body: &[u8]| {
        let index = number(body, LINK_INDEX)?;
        let (_, name) = attributes(body, LINK).find(|(kind, _)| *kind == LINK_NAME)?;
        let name = name.strip_suffix(b"\0").unwrap_or(name);
        Some((index, String::from_utf8_lossy(name).into_owned()))
    };
    Ok(answer.iter().filter_map(|message| one(&message.body)).collect())
}

/// The addresses of an interface that somebody gave it, as requests to give them again.
fn addresses(network: &mut Netlink, index: u32) -> Result<Vec<Vec<u8>>, Errno> {
    let answer = network.ask(GET_ADDRESS, DUMP, &[0; ADDRESS])?;
    Ok(answer.iter().filter_map(|message| address(&message.body, index)).collect())
}

fn address(body: &[u8], index: u32) -> Option<Vec<u8>> {
    const PERMANENT: u32 = 0x80;
    const FLAGS: u16 = 8;
    /// The name of the interface, which changes, and the times of one that is not permanent.
    const LABEL: u16 = 3;
    const TIMES: u16 = 6;
    let [family, bits, short_flags, scope, ..] = *body else { return None };
    if number(body, ADDRESS_INDEX)? != index || scope != 0 {
        return None;
    }
    let flags = attributes(body, ADDRESS).find(|(kind, _)| *kind == FLAGS);
    let flags = flags.and_then(|(_, value)| number(value, 0)).unwrap_or(short_flags.into());
    if flags & PERMANENT == 0 {
        return None;
    }
    let mut request = vec![family, bits, 0, scope];
    request.extend([0; 4]);
    for (kind, value) in attributes(body, ADDRESS) {
        if !matches!(kind, LABEL | TIMES) {
            attribute(&mut request, kind, value);
        }
    }
    Some(request)
}

const ROUTE_DEVICE: u16 = 4;

/// The routes through an interface that somebody made, as requests to make them again; those
/// without a gateway come first, since the others need them.
fn routes(network: &mut Netlink, index: u32) -> Result<Vec<Vec<u8>>, Errno> {
    let answer = network.ask(GET_ROUTE, DUMP, &[0; ROUTE])?;
    let mut routes: Vec<_> =
        answer.iter().filter_map(|message| route(&message.body, index)).collect();
    routes.sort_by_key(|(gateway, _)| *gateway);
    Ok(routes.into_iter().map(|(_, request)| request).collect())
}

fn route(body: &[u8], index: u32) -> Option<(bool, Vec<u8>)> {
    const MAIN: u32 = 254;
    const UNICAST: u8 = 1;
    /// Made by the kernel itself, and learnt from a router.
    const KERNEL: u8 = 2;
    const LEARNT: u8 = 9;
    const ON_LINK: u32 = 4;
    const CLONED: u32 = 0x200;
    const FLAGS: usize = 8;
    const GATEWAY: u16 = 5;
    const TABLE: u16 = 15;
    const VIA: u16 = 18;
    /// What the kernel only tells: use counts, and the time that is left.
    const TOLD: [u16; 2] = [12, 23];
    let [family, to, from, service, table, protocol, scope, kind, ..] = *body else { return None };
    let find = |wanted: u16| attributes(body, ROUTE).find(|(kind, _)| *kind == wanted);
    let device = find(ROUTE_DEVICE).and_then(|(_, value)| number(value, 0));
    let whole = find(TABLE).and_then(|(_, value)| number(value, 0)).unwrap_or(table.into());
    let flags = number(body, FLAGS)?;
    let made = !matches!(protocol, KERNEL | LEARNT) && flags & CLONED == 0;
    if device != Some(index) || whole != MAIN || kind != UNICAST || !made {
        return None;
    }
    let mut request = vec![family, to, from, service, table, protocol, scope, kind];
    request.extend((flags & ON_LINK).to_ne_bytes());
    for (kind, value) in attributes(body, ROUTE) {
        if kind != ROUTE_DEVICE && !TOLD.contains(&kind) {
            attribute(&mut request, kind, value);
        }
    }
    Some((find(GATEWAY).is_some() || find(VIA).is_some(), request))
}

/// A name, or one in which `%d` stands for a number.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a>(pub &'a str);

impl Template<'_> {
    /// Whether the kernel takes it: no `%` but that of one `%d`.
    pub fn is_sound(name: &str) -> bool {
        match name.split_once('%') {
            None => true,
            Some((_, rest)) => rest.strip_prefix('d').is_some_and(|rest| !rest.contains('%')),
        }
    }

    fn fits(self, name: &str) -> bool {
        match self.0.split_once("%d") {
            None => self.0 == name,
            Some((head, tail)) => name
                .strip_prefix(head)
                .and_then(|rest| rest.strip_suffix(tail))
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_stand_for_numbers() {
        for (template, name, expected) in [
            ("eth0", "eth0", true),
            ("eth0", "eth1", false),
            ("eth%d", "eth12", true),
            ("eth%d", "eth", false),
            ("eth%d", "ethx", false),
            ("a%db", "a1b", true),
            ("a%db", "ab", false),
        ] {
            assert_eq!(Template(template).fits(name), expected, "{template} {name}");
        }
        for (name, sound) in
            [("a", true), ("a%d", true), ("a%", false), ("%s", false), ("%d%d", false)]
        {
            assert_eq!(Template::is_sound(name), sound, "{name}");
        }
    }

    fn told(index: u32, scope: u8, flags: u32) -> Vec<u8> {
        let mut body = vec![2, 24, 0, scope];
        body.extend(index.to_ne_bytes());
        attribute(&mut body, 2, &[10, 0, 0, 1]);
        attribute(&mut body, 3, b"eth0\0");
        attribute(&mut body, 8, &flags.to_ne_bytes());
        body
    }

    #[test]
    fn permanent_global_addresses_are_kept_without_their_label() {
        let kept = address(&told(5, 0, 0x80), 5).unwrap();
        assert_eq!(attributes(&kept, ADDRESS).map(|(kind, _)| kind).collect::<Vec<_>>(), [2, 8]);
        assert_eq!(address(&told(6, 0, 0x80), 5), None, "another interface");
        assert_eq!(address(&told(5, 253, 0x80), 5), None, "link scope");
        assert_eq!(address(&told(5, 0, 0), 5), None, "not permanent");
        assert_eq!(address(&[2, 24], 5), None);
    }

    #[test]
    fn routes_that_somebody_made_are_kept() {
        let told = |protocol: u8, gateway: bool| {
            let mut body = vec![2, 0, 0, 0, 254, protocol, 0, 1, 0x10, 0, 0, 0];
            attribute(&mut body, ROUTE_DEVICE, &5u32.to_ne_bytes());
            if gateway {
                attribute(&mut body, 5, &[10, 0, 0, 254]);
            }
            body
        };
        let (gateway, kept) = route(&told(3, true), 5).unwrap();
        assert!(gateway && kept[8..12] == [0; 4], "a state of the link is not a request");
        assert_eq!(attributes(&kept, ROUTE).map(|(kind, _)| kind).collect::<Vec<_>>(), [5]);
        assert_eq!(route(&told(3, false), 5).map(|(gateway, _)| gateway), Some(false));
        assert_eq!(route(&told(2, false), 5), None, "the kernel's own");
        assert_eq!(route(&told(3, true), 6), None, "another interface");
        assert_eq!(route(&[2, 0], 5), None);
    }
}
