//! `network`: class and priority of outgoing packets; v1 only.

use super::Sink;
use crate::cgroup::write::Write;
use crate::config::Network;
use crate::error::Pointer;

/// Longest name of a network interface, in bytes.
const LONGEST_NAME: usize = 15;

/// Translates the class (`net_cls`).
pub(in crate::cgroup) fn plan_class(network: &Network<'_>, at: &Pointer, sink: &mut Sink<'_>) {
    let Some(class) = network.class_id.filter(|id| *id != 0) else { return };
    let at = at.key("classID");
    if sink.is_v1() {
        sink.push(Write::new("net_cls.classid", class, at));
    } else {
        sink.only_v1(at, "a class of packets");
    }
}

/// Translates the priorities (`net_prio`).
pub(in crate::cgroup) fn plan_priorities(network: &Network<'_>, at: &Pointer, sink: &mut Sink<'_>) {
    let list = at.key("priorities");
    for (index, entry) in network.priorities.iter().enumerate() {
        let at = list.index(index);
        if !sink.is_v1() {
            sink.only_v1(at, "a priority of packets");
        } else if is_interface(&entry.name) {
            let value = format!("{} {}", entry.name, entry.priority);
            sink.push(Write::new("net_prio.ifpriomap", value, at));
        } else {
            sink.limit(
                at.key("name"),
                format!("\"{}\" is not the name of an interface", entry.name),
                "give a name such as eth0",
            );
        }
    }
}

fn is_interface(name: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c == '/' || c.is_control();
    !name.is_empty() && name.len() <= LONGEST_NAME && !name.contains(odd)
}

#[cfg(test)]
mod tests {
    use super::super::table::run;
    use super::*;
    use crate::cgroup::layout::Version::{V1, V2};
    use crate::config::InterfacePriority;

    #[test]
    fn v1_writes_and_v2_refuses() {
        let priority = |name: &'static str| InterfacePriority { name: name.into(), priority: 5 };
        let network = Network {
            class_id: Some(0x0010_0001),
            priorities: vec![priority("eth0"), priority("a b")].into(),
        };
        let at = Pointer::from("/n");
        let class = run(V1, |sink| plan_class(&network, &at, sink)).unwrap();
        assert_eq!(class, ["net_cls.classid=1048577"]);
        let refused = run(V1, |sink| plan_priorities(&network, &at, sink)).unwrap_err();
        assert_eq!(refused, ["/n/priorities/1/name"]);
        assert_eq!(run(V2, |sink| plan_class(&network, &at, sink)).unwrap_err(), ["/n/classID"]);
        let zero = Network { class_id: Some(0), ..Network::default() };
        assert!(run(V2, |sink| plan_class(&zero, &at, sink)).unwrap().is_empty());
    }
}
