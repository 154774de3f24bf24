//! Licence expressions as packages state them (SPDX, and the old `A/B` for `OR`).

/// True if the expression can be met with the allowed licences alone.
///
/// An exception (`Apache-2.0 WITH LLVM-exception`) belongs to its licence and has
/// to be allowed as those three words, or the licence without it, since an
/// exception only permits more.
///
/// # Errors
/// When the expression cannot be read.
pub fn is_met(expression: &str, allowed: &[String]) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { tokens: &tokens, allowed };
    let met = parser.any();
    match parser.tokens.first() {
        None => met.ok_or_else(|| format!("licence expression not understood: {expression:?}")),
        Some(word) => Err(format!("licence expression {expression:?}: unexpected {word:?}")),
    }
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    allowed: &'a [String],
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let there = self.tokens.first() == Some(&word);
        if there {
            self.next();
        }
        there
    }

    /// `OR` binds weakest.
    fn any(&mut self) -> Option<bool> {
        let mut met = self.all()?;
        while self.take("OR") {
            met |= self.all()?;
        }
        Some(met)
    }

    fn all(&mut self) -> Option<bool> {
        let mut met = self.one()?;
        while self.take("AND") {
            met &= self.one()?;
        }
        Some(met)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let met = self.any()?;
            return self.take(")").then_some(met);
        }
        let licence = self.next().filter(|w| !["AND", "OR", "WITH", ")"].contains(w))?;
        let mut met = self.allowed.iter().any(|a| a == licence);
        if self.take("WITH") {
            let exception = self.next()?;
            met |= self.allowed.iter().any(|a| *a == format!("{licence} WITH {exception}"));
        }
        Some(met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allowed: Vec<String> =
            ["MIT", "Apache-2.0", "Unicode-3.0"].iter().map(|s| (*s).to_owned()).collect();
        let table = [
            ("MIT", Ok(true)),
            ("GPL-3.0-only", Ok(false)),
            ("MIT/Apache-2.0", Ok(true)),
            ("GPL-2.0 OR MIT", Ok(true)),
            ("GPL-2.0 AND MIT", Ok(false)),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", Ok(true)),
            ("(MIT OR Apache-2.0) AND OpenSSL", Ok(false)),
            // AND binds stronger than OR.
            ("MIT OR GPL-2.0 AND OpenSSL", Ok(true)),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", Ok(true)),
            ("GPL-2.0 WITH Classpath-exception-2.0", Ok(false)),
            ("", Err(())),
            ("MIT OR", Err(())),
            ("(MIT", Err(())),
            ("MIT Apache-2.0", Err(())),
            ("MIT)", Err(())),
        ];
        for (expression, want) in table {
            assert_eq!(is_met(expression, &allowed).map_err(|_| ()), want, "{expression}");
        }
    }
}
