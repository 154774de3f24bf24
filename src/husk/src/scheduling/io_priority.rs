//! `process.ioPriority`, see ioprio_set(2).

use super::{named, names};
use crate::config::IoPriority;
use crate::error::{Code, Pointer, Problems};
use crate::plan::Steps;
use husk_init::wire::Op;

const CLASSES: [(&str, u32); 3] =
    [("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)];

/// Where the class stands in the value that the kernel takes.
const CLASS_SHIFT: u32 = 13;

/// Appends the step.
pub fn plan(given: &IoPriority<'_>, at: &Pointer, steps: &mut Steps, problems: &mut Problems) {
    let class = named(&CLASSES, &given.class);
    if class.is_none() {
        let reason = match &*given.class {
            "" => "an I/O priority without a class".to_owned(),
            class => format!("unknown I/O class {class:?}"),
        };
        problems.refuse(Code::SCHEDULING, at.key("class"), reason, names(&CLASSES));
    }
    let level = u32::try_from(given.priority).ok().filter(|level| *level <= 7);
    if level.is_none() {
        let reason = format!("{} is not an I/O priority", given.priority);
        problems.refuse(Code::SCHEDULING, at.key("priority"), reason, "0 (first) to 7 (last)");
    }
    if let (Some(class), Some(level)) = (class, level) {
        steps.push(&Op::IoPriority { value: class << CLASS_SHIFT | level }, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn classes_and_levels() {
        let table: [(&str, Option<u32>, &[&str]); 6] = [
            (r#"{"class":"IOPRIO_CLASS_BE","priority":6}"#, Some(2 << 13 | 6), &[]),
            (r#"{"class":"IOPRIO_CLASS_RT"}"#, Some(1 << 13), &[]),
            (r#"{"class":"IOPRIO_CLASS_IDLE","priority":7}"#, Some(3 << 13 | 7), &[]),
            (r#"{"class":"IOPRIO_CLASS_BE","priority":8}"#, None, &["/p/priority"]),
            (r#"{"class":"BE","priority":-1}"#, None, &["/p/class", "/p/priority"]),
            ("{}", None, &["/p/class"]),
        ];
        for (text, expected, at) in table {
            let text = format!(r#"{{"ioPriority":{text}}}"#);
            let process = config::parse_process(text.as_bytes()).unwrap();
            let (mut steps, mut problems) = (Steps::new(), Problems::default());
            plan(&process.io_priority.unwrap(), &"/p".into(), &mut steps, &mut problems);
            let value = match steps.get(0) {
                Some((Op::IoPriority { value }, _)) => Some(value),
                _ => None,
            };
            assert_eq!(value, expected, "{text}");
            let found: Vec<_> = problems.list().iter().map(|p| p.pointer.as_str()).collect();
            assert_eq!(found, at, "{text}");
        }
    }
}
