//! Text from right to left on terminals that reorder it.
//!
//! Such a terminal runs the Unicode bidirectional algorithm (UAX #9) over each row. Then a name and the text after it may
//! change places, and a row that begins with a Hebrew letter may run from right to left as a whole. Marks at the
//! beginning of a row and beside each name prevent both: text contains no direction controls, so a run from right to left
//! ends at the next letter from left to right, and the mark is such a letter.

use std::borrow::Cow;

/// LEFT-TO-RIGHT MARK: a letter without width or shape. Text from others never contains it.
pub(crate) const MARK: char = '\u{200E}';

/// Whether a terminal may reorder a text. All characters of the bidirectional classes R, AL and AN are in these blocks.
pub(crate) fn is_reordered(text: &str) -> bool {
    text.contains(|character| {
        matches!(character,
            '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFE}' | '\u{10800}'..='\u{10FFF}'
            | '\u{1E800}'..='\u{1EFFF}')
    })
}

/// A line for a terminal that names users as `nick@id`: with marks at its beginning and after each nick.
pub(crate) fn marked(line: &str) -> Cow<'_, str> {
    if is_reordered(line) {
        let mark = MARK;
        format!("{mark}{}", line.replace('@', &format!("{mark}@"))).into()
    } else {
        line.into()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a terminal that reorders shows of a row, from left to right. It takes the direction of the row from the
    /// first letter. This is UAX #9 for letters, digits, and everything else as neutral, without brackets.
    pub(crate) fn reordered(row: &str) -> String {
        #[derive(Clone, Copy, PartialEq)]
        enum Class {
            Left,
            Right,
            Digit,
            Neutral,
        }
        let row: Vec<char> = row.chars().collect();
        let mut classes: Vec<Class> = row
            .iter()
            .map(|&c| match c {
                MARK => Class::Left,
                '0'..='9' => Class::Digit,
                _ if is_reordered(&c.to_string()) => Class::Right,
                _ if c.is_alphabetic() => Class::Left,
                _ => Class::Neutral,
            })
            .collect();
        let is_letter = |class: &&Class| matches!(class, Class::Left | Class::Right);
        let base = *classes.iter().find(is_letter).unwrap_or(&Class::Left);
        // A separator within a number is part of it (W4).
        for at in 1..row.len().saturating_sub(1) {
            let is_inside = [at - 1, at + 1].map(|side| classes[side]) == [Class::Digit; 2];
            if is_inside && matches!(row[at], ':' | '.') {
                classes[at] = Class::Digit;
            }
        }
        // Digits after a letter from left to right are such letters (W7).
        let mut strong = base;
        for class in &mut classes {
            match class {
                Class::Digit if strong == Class::Left => *class = Class::Left,
                Class::Left | Class::Right => strong = *class,
                _ => {}
            }
        }
        // Neutrals between equals are like them, and else like the row (N1, N2). Digits count as from right to left.
        let side = |class: Option<&Class>| match class {
            None => base,
            Some(Class::Digit) => Class::Right,
            Some(other) => *other,
        };
        let is_set = |class: &&Class| **class != Class::Neutral;
        let resolved: Vec<Class> = (0..classes.len())
            .map(|at| {
                let before = side(classes[..at].iter().rfind(is_set));
                let after = side(classes[at..].iter().find(is_set));
                match classes[at] {
                    Class::Neutral if before == after => before,
                    Class::Neutral => base,
                    other => other,
                }
            })
            .collect();
        let level = |class: &Class| match (class, base) {
            (Class::Left, Class::Left) => 0,
            (Class::Right, _) => 1,
            _ => 2,
        };
        let levels: Vec<i32> = resolved.iter().map(level).collect();
        // Reverse everything at each level and above (L2).
        let mut order: Vec<usize> = (0..row.len()).collect();
        for least in [2, 1] {
            let mut at = 0;
            while at < order.len() {
                let run = order[at..].iter().take_while(|&&place| levels[place] >= least);
                let length = run.count();
                order[at..at + length].reverse();
                at += length.max(1);
            }
        }
        let shown = order.into_iter().map(|place| row[place]);
        shown.filter(|&c| c != MARK).collect()
    }

    #[test]
    fn the_order_of_a_terminal_is_as_uax_9_says() {
        assert_eq!(reordered("car אבג car"), "car גבא car");
        assert_eq!(reordered("אב: car 12"), "car 12 :בא");
        assert_eq!(reordered("22:14 אב: דה"), "הד :בא 22:14");
        assert_eq!(reordered("x אב 12 דה"), "x הד 12 בא");
    }

    #[test]
    fn names_keep_their_place_on_a_terminal() {
        for line in [
            "from א@10.0.0.4:1: ב",
            "א@10.0.0.4:1 is online",
            "* א@10.0.0.4:1 10.0.0.9:1 ב",
            "א@10.0.0.4:1 is now ב@10.0.0.4:1",
            "[22:14:03] א@10.0.0.4:1 is offline",
        ] {
            assert_ne!(reordered(line), line);
            // With one-letter words, the right order is the order of the bytes.
            assert_eq!(reordered(&marked(line)), line);
        }
        for line in ["from alice@10.0.0.4:1: é 你 👍", ""] {
            assert_eq!(marked(line), line);
        }
    }
}
