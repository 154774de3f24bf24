//! `linux.personality` (config-linux.md §Personality): the execution domain, see personality(2).

use crate::config::Linux;
use crate::error::{Code, Pointer, Problems};
use crate::plan::Steps;
use husk_init::wire::Op;

/// The domains of the specification, which has no flags.
const DOMAINS: [(&str, u64); 2] = [("LINUX", 0), ("LINUX32", 8)];

/// Appends the step.
pub fn plan(linux: Option<&Linux<'_>>, steps: &mut Steps, problems: &mut Problems) {
    let Some(given) = linux.and_then(|linux| linux.personality.as_ref()) else { return };
    let at = Pointer::from("/linux/personality");
    for (n, flag) in given.flags.iter().enumerate() {
        let reason = format!("unknown flag {:?}: the specification defines none", &**flag);
        problems.refuse(
            Code::CONFIG_INVALID,
            at.key("flags").index(n),
            reason,
            "no flag is defined: leave the list empty",
        );
    }
    let domain = DOMAINS.iter().find(|(name, _)| *name == &*given.domain);
    let Some((_, domain)) = domain else {
        let reason = format!("unknown execution domain {:?}", &*given.domain);
        problems.refuse(Code::CONFIG_INVALID, at.key("domain"), reason, "LINUX or LINUX32");
        return;
    };
    steps.push(&Op::Personality { domain: *domain }, at);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn domains_are_two_and_flags_are_none() {
        let table: [(&str, Option<u64>, &[&str]); 5] = [
            (r#"{"domain":"LINUX"}"#, Some(0), &[]),
            (r#"{"domain":"LINUX32","flags":[]}"#, Some(8), &[]),
            (r#"{"domain":"BSD"}"#, None, &["/linux/personality/domain"]),
            ("{}", None, &["/linux/personality/domain"]),
            (r#"{"domain":"LINUX","flags":["X"]}"#, Some(0), &["/linux/personality/flags/0"]),
        ];
        for (text, expected, at) in table {
            let text = format!(r#"{{"linux":{{"personality":{text}}}}}"#);
            let config = config::parse(text.as_bytes()).unwrap();
            let (mut steps, mut problems) = (Steps::new(), Problems::default());
            plan(config.linux.as_ref(), &mut steps, &mut problems);
            let domain = match steps.get(0) {
                Some((Op::Personality { domain }, _)) => Some(domain),
                _ => None,
            };
            assert_eq!(domain, expected, "{text}");
            let found: Vec<_> = problems.list().iter().map(|p| p.pointer.as_str()).collect();
            assert_eq!(found, at, "{text}");
        }
    }
}
