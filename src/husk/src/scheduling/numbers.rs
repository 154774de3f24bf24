//! Lists of CPUs and memory nodes, such as `0-3,7`.

/// The list as a mask in the kernel's form: words of 64 bits, the lowest first.
///
/// Spaces around an element and empty elements are passed over, as the kernel's own lists have it.
///
/// # Errors
/// A sentence about an element that is no number or range, is not below `most`, or runs backwards;
/// and about a list that names nothing.
pub fn mask(list: &str, most: usize) -> Result<Vec<u8>, String> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse::<usize>().ok().filter(|_| digits);
        match number {
            Some(number) if number < most => Ok(number),
            Some(number) => Err(format!("{number} is too large: numbers go up to {}", most - 1)),
            None => Err(format!("{text:?} in {list:?} is not a number")),
        }
    };
    let mut words: Vec<u64> = Vec::new();
    for element in list.split(',').map(str::trim).filter(|element| !element.is_empty()) {
        let (first, last) = element.split_once('-').unwrap_or((element, element));
        let (first, last) = (number(first.trim())?, number(last.trim())?);
        if first > last {
            return Err(format!("the range {element:?} runs backwards"));
        }
        if words.len() <= last / 64 {
            words.resize(last / 64 + 1, 0);
        }
        for n in first..=last {
            if let Some(word) = words.get_mut(n / 64) {
                *word |= 1 << (n % 64);
            }
        }
    }
    if words.is_empty() {
        return Err(format!("{list:?} names nothing"));
    }
    Ok(words.into_iter().flat_map(u64::to_ne_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn lists_become_masks() {
        let word = |n: u64| n.to_ne_bytes().to_vec();
        for (list, expected) in [
            ("0", word(1)),
            ("0-3,7", word(0x8f)),
            (" 1 , 3 - 4 ,", word(0b1_1010)),
            ("63", word(1 << 63)),
            ("2,2,1-2", word(0b110)),
            ("64", [word(0), word(1)].concat()),
            ("0-127", vec![0xff; 16]),
        ] {
            assert_eq!(mask(list, 128).as_ref(), Ok(&expected), "{list}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (list, words) in [
            ("", "names nothing"),
            (" , ", "names nothing"),
            ("a", "not a number"),
            ("+1", "not a number"),
            ("1-", "not a number"),
            ("-1", "not a number"),
            ("1-2-3", "not a number"),
            ("0x1", "not a number"),
            ("3-1", "backwards"),
            ("128", "too large"),
            ("0-99999999999999999999999", "not a number"),
        ] {
            let said = mask(list, 128).unwrap_err();
            assert!(said.contains(words), "{list}: {said}");
        }
    }
}
