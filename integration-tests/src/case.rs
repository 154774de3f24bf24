//! What a test is.

use crate::context::Context;

/// Why a test did not run to its end.
#[derive(Debug)]
pub struct Skip(pub String);

/// A test ends well, is skipped with a reason, or panics.
pub type Done = Result<(), Skip>;

/// One row of the table.
pub struct Test {
    /// Function name, with the row of the coverage map where one is proved.
    pub name: &'static str,
    /// Path of the module, without the crate and `suite`.
    pub module: &'static str,
    /// States a behaviour in which the project is deliberately stricter or
    /// newer than other runtimes; a peer may fail it.
    pub stricter: bool,
    /// The body.
    pub run: fn(&Context) -> Done,
}

/// Builds the table of a module: function names, with `stricter` in front of
/// those that a peer may fail.
#[macro_export]
macro_rules! tests {
    (@one stricter $f:ident) => { $crate::tests!(@row $f, true) };
    (@one $f:ident) => { $crate::tests!(@row $f, false) };
    (@row $f:ident, $s:expr) => {
        $crate::case::Test {
            name: stringify!($f),
            module: module_path!(),
            stricter: $s,
            run: $f,
        }
    };
    ($($($word:ident)+),* $(,)?) => {
        /// The tests of this module.
        pub const TESTS: &[$crate::case::Test] = &[$($crate::tests!(@one $($word)+)),*];
    };
}
